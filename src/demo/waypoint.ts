// SPDX-License-Identifier: Apache-2.0
// The demo's part with a waypoint: `waypoint run` in a network of its own, requests by path, header and weight, a release while calls go on.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { installedFile } from '../tasks/installed-file.ts';
import { findProxy } from '../tasks/waypoint/run-proxy.ts';
import { type EditResult, editUnderLoad, written } from './edit.ts';
import {
  afterRelease,
  beforeRelease,
  type FrontState,
  frontCalls,
  frontYaml,
  oldCatalog,
  waypoint,
  waypointName,
} from './front.ts';
import { follow } from './process.ts';
import type { Progress } from './progress.ts';
import { printCalls } from './report.ts';
import { newCatalog, shopNamespace } from './shop.ts';
import { flagsOf, notStarted, type Stage, until, writeConfig } from './stage.ts';
import { type CallResult, type Client, callAll, refuseFaults } from './traffic.ts';

/** Envoy's program, or why there is none. */
export type Envoy = { readonly path: string } | { readonly missing: string };

export interface WaypointResult {
  readonly calls: readonly CallResult[];
  readonly release: EditResult;
  readonly callsAfterRelease: readonly CallResult[];
}

/** Calls of each kind. */
const callsAStep = 200;
/** So many calls in a row that only the new version answers: the release is in effect. */
const inARow = 20;
const releaseMs = 10_000;

/** In PATH, else as scripts/fetch-envoy.sh fetched it. */
export async function findEnvoy(env: Env): Promise<Envoy> {
  try {
    return { path: (await findProxy(env, undefined)).path };
  } catch {
    // Not installed.
  }
  try {
    const path = fetched('envoy');
    if (path !== undefined) return { path: (await findProxy(env, path)).path };
    const why = fetched('missing');
    return { missing: why === undefined ? 'there is no Envoy here' : `no Envoy: ${readFileSync(why, 'utf8').trim()}` };
  } catch (error) {
    return { missing: (error as Error).message };
  }
}

function fetched(name: string): string | undefined {
  const path = join(installedFile('package.json'), '..', '.cache/envoy', name);
  return existsSync(path) ? path : undefined;
}

/** Starts it as a process of its own that may outlive this one; the demo's next run ends it. */
async function startWaypoint(stage: Stage, netns: string, envoy: string): Promise<void> {
  const path = join(stage.logs, 'waypoint.log');
  const log = openSync(path, 'w');
  const run = [
    'waypoint',
    'run',
    waypointName,
    '-n',
    shopNamespace,
    '--netns',
    netns,
    '--proxy',
    envoy,
    '--drain',
    '1s',
  ];
  const child = spawn(process.execPath, [installedFile('bin/kmeshctl.js'), ...run, ...flagsOf(stage.place)], {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  child.unref();
  const ready = () => readFileSync(path, 'utf8').includes(' is ready: ');
  if (await until(follow(child), ready)) return;
  throw notStarted('the waypoint does not become ready', path);
}

/** Resolves once a row of calls went to the new version alone. */
async function released(client: Client): Promise<void> {
  const [first] = frontCalls(afterRelease);
  const target = first?.target ?? { protocol: 'http', host: '', port: 0 };
  for (let waited = 0; waited < releaseMs; waited += 20) {
    const [tally] = await client.order({ kind: 'calls', target, calls: inARow, parallel: 1 });
    if (tally?.answers[newCatalog] === inARow) return;
    await pause(20);
  }
  throw new KmeshError('KM_DEMO', 'the release did not take effect within ten seconds');
}

/** Needs the agent to serve waypoints. @throws KmeshError as the demo does. */
export async function playWaypoint(
  env: Env,
  progress: Progress,
  stage: Stage,
  { client, envoy }: { readonly client: Client; readonly envoy: string },
): Promise<WaypointResult> {
  const { step, heading } = progress;
  const { place, lab, config } = stage;
  const callEach = async (state: FrontState, title: string) => {
    const results = await step(title, () => callAll(client, frontCalls(state), callsAStep));
    printCalls(progress, results);
    refuseFaults(results);
    return results;
  };
  heading('A waypoint: requests by path, header and weight');
  await step('Gateway, HTTPRoute and AuthorizationPolicy added', () => add(env, place, config));
  await step('waypoint run: a stock Envoy in a network of its own', async () => {
    const { name, address4, address6 } = waypoint;
    const { netns } = await lab.addPod(name, { address4, address6 });
    await startWaypoint(stage, netns, envoy);
  });
  const calls = await callEach(beforeRelease, `${callsAStep} calls of each kind`);
  const release = await step('released: version v2 takes every call, edited while calls go on', async (say) => {
    const result = await editUnderLoad(env, client, {
      calls: frontCalls(beforeRelease),
      drained: [oldCatalog],
      make: () => void writeConfig(config, frontYaml(afterRelease)),
      applied: () => released(client),
    });
    say(`in effect after ${result.milliseconds} ms, ${result.calls} calls, none lost`);
    return result;
  });
  const callsAfterRelease = await callEach(afterRelease, `${callsAStep} calls of each kind again`);
  return { calls, release, callsAfterRelease };
}

async function add(env: Env, place: Place, config: string): Promise<void> {
  const at = env.now();
  writeConfig(config, frontYaml(beforeRelease));
  await written(place, at);
}
