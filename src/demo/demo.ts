// SPDX-License-Identifier: Apache-2.0
// The demo: a mesh on one machine from a folder of YAML, called, edited while it is called, checked, and removed.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { adminClient } from '../admin/client.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { enrollCgroup } from '../tasks/enroll.ts';
import { installedFile } from '../tasks/installed-file.ts';
import { loadPrograms } from '../tasks/load.ts';
import { showStatus } from '../tasks/status.ts';
import { type EditResult, editUnderLoad, written } from './edit.ts';
import { printLookAround } from './look-around.ts';
import { follow } from './process.ts';
import { openProgress, type Progress } from './progress.ts';
import { printCalls, printMaps } from './report.ts';
import {
  after,
  before,
  client,
  httpPort,
  type ShopState,
  shopCalls,
  shopNamespace,
  shopPods,
  shopYaml,
  udpPort,
} from './shop.ts';
import {
  flagsOf,
  leftoverStages,
  nameOf,
  notStarted,
  openStage,
  removeStage,
  type Stage,
  until,
  writeConfig,
} from './stage.ts';
import { type CallResult, type Client, callAll, refuseFaults, startClient } from './traffic.ts';
import { type Envoy, findEnvoy, playWaypoint, type WaypointResult } from './waypoint.ts';

export interface DemoOptions {
  readonly place: Place;
  /** Leave everything up. The next demo removes it. */
  readonly keep: boolean;
}

export interface DemoResult {
  readonly calls: readonly CallResult[];
  readonly edit: EditResult;
  readonly callsAfterEdit: readonly CallResult[];
  readonly waypoint: WaypointResult | { readonly leftOut: string };
  readonly milliseconds: number;
  /** Where everything is, when it was kept. */
  readonly kept?: Place & { readonly config: string };
}

/** Calls to each address. */
const callsAStep = 400;

/** Starts a server in every pod but the client's, and waits until all of them listen. */
async function startServers(stage: Stage): Promise<void> {
  const script = installedFile('dist/demo-server.js');
  const started = [...stage.lab.pods.values()]
    .filter((pod) => pod.name !== client)
    .map((pod) => {
      const path = join(stage.logs, `${pod.name}.log`);
      const log = openSync(path, 'w');
      const args = [script, pod.name, String(httpPort), String(udpPort)];
      const running = pod.start(process.execPath, args, { log });
      closeSync(log);
      return { pod, path, running };
    });
  for (const { pod, path, running } of started) {
    const said = () => readFileSync(path, 'utf8');
    if (await until(running, () => said().includes('ready'))) continue;
    throw notStarted(`the server in pod "${pod.name}" does not start`, path);
  }
}

async function isReady(place: Place): Promise<boolean> {
  try {
    return (await adminClient(place.runDir).ready({})).ready;
  } catch {
    return false;
  }
}

/** Starts the agent as a process of its own that may outlive this one, and waits until it is ready. */
async function startAgent(stage: Stage, more: readonly string[]): Promise<void> {
  const path = join(stage.logs, 'agent.log');
  const log = openSync(path, 'w');
  const args = [installedFile('bin/kmeshctl.js'), 'agent', '--config', stage.config, '--node', 'demo'];
  const child = spawn(process.execPath, [...args, ...flagsOf(stage.place), ...more], {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  child.unref();
  if (await until(follow(child), () => isReady(stage.place))) return;
  throw notStarted('the agent does not become ready', path);
}

async function makePods(stage: Stage): Promise<void> {
  for (const { name, address4, address6 } of shopPods) await stage.lab.addPod(name, { address4, address6 });
}

async function enrolPods(env: Env, stage: Stage): Promise<void> {
  for (const pod of stage.lab.pods.values()) {
    const workload = `${shopNamespace}/${pod.name}`;
    const { cgroup, netns } = pod;
    await enrollCgroup(env, { place: stage.place, cgroup, netns, workload, authz: 'off', dryRun: false });
  }
}

/** Everything between an empty stage and the last call. */
async function play(env: Env, progress: Progress, stage: Stage): Promise<Omit<DemoResult, 'milliseconds'>> {
  const { step, heading } = progress;
  const { place, lab } = stage;
  const dryRun = false;
  await step(`${shopPods.length} pods: a network namespace and a cgroup each`, () => makePods(stage));
  await step('servers in the pods: HTTP and UDP, on IPv4 and IPv6', () => startServers(stage));
  await step('Kubernetes and Istio YAML', async (say) =>
    say(`${writeConfig(stage.config, shopYaml(before))} files in ${stage.config}`),
  );
  await step('programs loaded', async (say) => {
    await loadPrograms(env, { place, dryRun });
    say(`attached to ${place.cgroupRoot}`);
  });
  await step('pods enrolled', () => enrolPods(env, stage));
  const envoy = await findEnvoy(env);
  const serving = 'path' in envoy ? ['--waypoint-ads', '127.0.0.1:0'] : [];
  await step('agent started, and ready', () => startAgent(stage, serving));

  const caller = startClient(lab.pods.get(client)!, process.execPath, installedFile('dist/demo-client.js'));
  const callEach = async (state: ShopState, title: string) => {
    const results = await step(title, () => callAll(caller, shopCalls(state), callsAStep));
    printCalls(progress, results);
    refuseFaults(results);
    return results;
  };
  heading('frontend calls service addresses');
  const calls = await callEach(before, `${callsAStep} calls to each of ${shopCalls(before).length} addresses`);

  heading('An edit, while calls go on');
  progress.line('  cart-1 weighs 1 instead of 3, cart-2 weighs 3 instead of 1; catalog-2 is not ready any more\n');
  const edit = await step('edited, with calls before, meanwhile and after', async (say) => {
    const result = await editUnderLoad(env, caller, {
      calls: shopCalls(before),
      drained: after.drained,
      make: () => void writeConfig(stage.config, shopYaml(after)),
      applied: (at) => written(place, at),
    });
    say(`in effect after ${result.milliseconds} ms, ${result.calls} calls, none lost`);
    return result;
  });
  const callsAfterEdit = await callEach(after, `${callsAStep} calls to each address again`);

  const waypoint = await playOrLeaveOut(env, progress, stage, { client: caller, envoy });
  await caller.stop();

  heading('What the kernel holds');
  const status = await step('maps read', () => showStatus(env, { place }));
  printMaps(progress, status);
  return { calls, edit, callsAfterEdit, waypoint };
}

async function playOrLeaveOut(
  env: Env,
  progress: Progress,
  stage: Stage,
  { client, envoy }: { readonly client: Client; readonly envoy: Envoy },
): Promise<DemoResult['waypoint']> {
  if ('path' in envoy) return playWaypoint(env, progress, stage, { client, envoy: envoy.path });
  progress.line(`\n  The part with a waypoint is left out: ${envoy.missing}`);
  return { leftOut: envoy.missing };
}

/** Rejects as soon as the first signal to end arrives. */
function aborted(env: Env): Promise<never> {
  const stop = () => new KmeshError('KM_DEMO', 'stopped by a signal');
  return new Promise((_, reject) => {
    if (env.signal.aborted) reject(stop());
    env.signal.addEventListener('abort', () => reject(stop()), { once: true });
  });
}

/**
 * Runs the whole demo and checks what it sees.
 *
 * @throws KmeshError KM_DEMO when a call is lost, a wrong pod answers, shares are off by more than three sigma or an edit
 *   does not take effect; and whatever a step fails with. Everything is removed then, too.
 */
export async function runDemo(env: Env, options: DemoOptions): Promise<DemoResult> {
  const { place, keep } = options;
  const start = env.now();
  const progress = openProgress(env);
  const { paint, line, step, heading } = progress;
  line(paint.bold('A shop on this machine: frontend calls cart (by weight), catalog (in turns) and prices (UDP)\n'));
  const old = leftoverStages(place);
  if (old.length > 0) {
    await step('an earlier demo removed', async () => {
      for (const name of old) await removeStage(place, name);
    });
  }
  const name = nameOf(process.pid);
  const playing = (async () => {
    const stage = await step('a place of its own: pins, run directory, cgroups', () => openStage(place, process.pid));
    return { stage, seen: await play(env, progress, stage) };
  })();
  try {
    const { stage, seen } = await Promise.race([aborted(env), playing]);
    const result = { ...seen, milliseconds: env.now() - start };
    if (keep) {
      printLookAround(progress, stage);
      return { ...result, kept: { ...stage.place, config: stage.config } };
    }
    heading('The end');
    await step('everything removed', () => removeStage(place, name));
    line(paint.green('\n  Every call was answered, by whom it should have been.'));
    return result;
  } catch (error) {
    await step('cleaned up', async () => {
      await removeStage(place, name);
      // After a signal, a step was still at work: what it made since goes as well.
      await playing.catch(() => undefined);
      await removeStage(place, name);
    });
    throw error;
  }
}
