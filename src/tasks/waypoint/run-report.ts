// SPDX-License-Identifier: Apache-2.0
// What a waypoint that is run here says of its Gateway in a cluster, as a controller would: programmed, and where.
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../../agent/log.ts';
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { gateways, type KubeObject } from '../../kube/object.ts';
import { classOf, readWaypoint } from './read-gateway.ts';
import { ownClass } from './words.ts';

export interface Reporter {
  /** From now on it is programmed, at these addresses. Said again whenever the Gateway, or somebody else's word, changes. */
  ready(addresses: readonly string[]): void;
  /** It is not any more; resolves within seconds, whether the cluster hears it or not. */
  close(): Promise<void>;
}

export interface Reported {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds between two looks. */
  readonly everyMs?: number;
}

const usualEveryMs = 5000;
const lastMs = 3000;

interface State {
  readonly programmed: boolean;
  readonly addresses: readonly string[];
}

/** @throws KmeshError KM_NOT_FOUND, KM_CONFIG when somebody else says the status of such a Gateway. */
export async function openReporter(
  env: Env,
  cluster: Cluster,
  { namespace, name, everyMs = usualEveryMs }: Reported,
  log: Log,
): Promise<Reporter> {
  const shown = `${namespace}/${name}`;
  const gateway = await cluster.get(gateways, name, namespace);
  if (gateway === undefined) throw new KmeshError('KM_NOT_FOUND', `the cluster has no Gateway ${shown}`);
  if (classOf(gateway) !== ownClass) {
    throw new KmeshError(
      'KM_CONFIG',
      `Gateway ${shown} is of class "${classOf(gateway)}": its own controller says its status`,
      { hint: `without --kubeconfig and --context nothing is said; class ${ownClass} is for what kmeshctl runs` },
    );
  }
  let state: State | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;
  const say = async (next: State): Promise<void> => {
    const now = await cluster.get(gateways, name, namespace);
    if (now === undefined) throw new KmeshError('KM_NOT_FOUND', `Gateway ${shown} was deleted`);
    const status = statusOf(now, next, env.now());
    if (!isSaid(now, status)) {
      const { apiVersion, kind } = now;
      await cluster.applyStatus(gateways, { apiVersion, kind, metadata: { name, namespace }, status });
    }
  };
  const round = async (): Promise<void> => {
    try {
      if (state) await say(state);
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'the status of the Gateway could not be said');
    }
    if (!closing) timer = setTimeout(() => void round(), everyMs);
  };
  const last = async (): Promise<void> => {
    clearTimeout(timer);
    if (!state) return;
    let limit: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((done) => {
      limit = setTimeout(done, lastMs);
    });
    const said = say({ programmed: false, addresses: [] }).catch((error) =>
      log.warn({ reason: (error as Error).message }, 'the status of the Gateway could not be said'),
    );
    await Promise.race([said, patience]);
    clearTimeout(limit);
  };
  return {
    ready(addresses) {
      const first = state === undefined;
      state = { programmed: true, addresses };
      if (first) void round();
    },
    close() {
      closing ??= last();
      return closing;
    },
  };
}

interface Status extends Readonly<Record<string, unknown>> {
  readonly addresses?: readonly unknown[];
  readonly conditions: readonly Condition[];
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

function statusOf(gateway: KubeObject, { programmed, addresses }: State, now: number): Status {
  const before = readWaypoint(gateway).conditions;
  const times = new Map(timesOf(gateway));
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = (type: string, yes: boolean, reason: string, message: string): Condition => {
    const status = yes ? 'True' : 'False';
    const same = before.find((one) => one.type === type)?.status === status;
    return {
      ...{ type, status, reason, message },
      observedGeneration: gateway.metadata.generation ?? 0,
      lastTransitionTime: (same ? times.get(type) : undefined) ?? time,
    };
  };
  return {
    ...(addresses.length > 0 && { addresses: addresses.map((value) => ({ type: 'IPAddress', value })) }),
    conditions: [
      condition('Accepted', true, 'Accepted', 'run by kmeshctl'),
      programmed
        ? condition('Programmed', true, 'Programmed', 'its Envoy listens')
        : condition('Programmed', false, 'NoResources', 'its Envoy was stopped'),
    ],
  };
}

function timesOf({ status = {} }: KubeObject): [string, string][] {
  const { conditions } = status as { readonly conditions?: readonly Partial<Condition>[] };
  return (conditions ?? []).flatMap(({ type, lastTransitionTime: at }) =>
    type === undefined || at === undefined ? [] : [[type, at]],
  );
}

/** Others may say more: conditions of other types are theirs. */
function isSaid({ status = {} }: KubeObject, wanted: Status): boolean {
  const { addresses = [], conditions = [] } = status as { addresses?: unknown; conditions?: readonly Condition[] };
  return (
    isDeepStrictEqual(addresses, wanted.addresses ?? []) &&
    wanted.conditions.every((one) => conditions.some((held) => isDeepStrictEqual(held, one)))
  );
}
