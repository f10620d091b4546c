// SPDX-License-Identifier: Apache-2.0
// Waits until waypoints are programmed, and says meanwhile what they are waiting for.
import { setTimeout as pause } from 'node:timers/promises';
import type { Env } from '../../env.ts';
import { harmless, KmeshError } from '../../errors.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { isPassing } from '../../kube/fault.ts';
import { gateways } from '../../kube/object.ts';
import { programmed, readWaypoint, type Waypoint, whyNot } from './read-gateway.ts';

export interface Waiting {
  readonly env: Env;
  readonly cluster: Cluster;
  readonly timeoutMs: number;
  /** Between two looks. */
  readonly everyMs?: number;
}

const usualEveryMs = 500;
/** The last look may take this much longer than there is time. */
const lastLookMs = 1000;
/** An unchanged state is told again after this. */
const againMs = 10_000;

export interface Name {
  readonly namespace: string;
  readonly name: string;
}

/** The state of one, told when it changes. */
async function waitForOne(
  { env, cluster, timeoutMs, everyMs = usualEveryMs }: Waiting,
  { namespace, name }: Name,
): Promise<Waypoint> {
  const started = performance.now();
  let told = { text: '', at: 0 };
  const tell = (text: string, passed: number): void => {
    if (text === told.text && passed - told.at < againMs) return;
    told = { text, at: passed };
    const clock = `${Math.floor(passed / 1000)} of ${timeoutMs / 1000} s`;
    env.stderr.write(`${harmless(`waypoint ${namespace}/${name}: ${clock}: ${text}`)}\n`);
  };
  for (;;) {
    const left = timeoutMs - (performance.now() - started);
    const state = await within(lookAt(cluster, namespace, name), Math.max(left, lastLookMs));
    const passed = performance.now() - started;
    if ('waypoint' in state && programmed(state.waypoint) === 'yes') return state.waypoint;
    const why = 'waypoint' in state ? whyNot(state.waypoint) : state.fault.message;
    if (passed >= timeoutMs) {
      throw new KmeshError(
        'KM_TIMEOUT',
        `waypoint ${namespace}/${name} is not programmed after ${timeoutMs / 1000} s: ${why}`,
        {
          hint: `"kmeshctl waypoint status ${name} -n ${namespace}" shows every condition`,
        },
      );
    }
    tell(why, passed);
    await pause(Math.min(everyMs, timeoutMs - passed), undefined, { signal: env.signal });
  }
}

/** What `looking` gives, or that it gave nothing in time: a server that is slow does not make the wait longer. */
async function within(looking: ReturnType<typeof lookAt>, ms: number): ReturnType<typeof lookAt> {
  const over = new AbortController();
  const late = pause(ms, { fault: new Error('the Kubernetes API does not answer') }, { signal: over.signal });
  try {
    return await Promise.race([looking, late]);
  } finally {
    over.abort();
  }
}

/** An API server that is away for a moment is waited for, too. */
async function lookAt(
  cluster: Cluster,
  namespace: string,
  name: string,
): Promise<{ waypoint: Waypoint } | { fault: Error }> {
  try {
    const gateway = await cluster.get(gateways, name, namespace);
    if (gateway !== undefined) return { waypoint: readWaypoint(gateway) };
  } catch (error) {
    if (!isPassing(error)) throw error;
    return { fault: error as Error };
  }
  throw new KmeshError('KM_NOT_FOUND', `waypoint ${namespace}/${name} was deleted while it was waited for`);
}

/** All of them at once, within one time-out. */
export const waitForWaypoints = (waiting: Waiting, names: readonly Name[]): Promise<readonly Waypoint[]> =>
  Promise.all(names.map((name) => waitForOne(waiting, name)));
