// SPDX-License-Identifier: Apache-2.0
// Workloads that have a host name and no address get the addresses that the name leads to. Nothing waits for an answer: such a workload
// is told at once as it is, and again once its name is resolved.
import type { Change } from '../../mesh/model.ts';
import type { Steps } from '../../mesh/steps.ts';
import type { Workload } from '../../mesh/workload.ts';
import { type Address, isV4 } from '../../net/address.ts';
import { openResolution, type Resolver } from '../resolve.ts';
import type { Timers } from '../timers.ts';

export interface Hostnames {
  /** Places of the changes that are about such workloads, or were. In steps: a first response has a hundred thousand, and most meshes none. */
  concerned(changes: readonly Change[]): Steps<readonly number[]>;
  /** What to tell in place of these changes: the same, but for workloads whose names were resolved before. */
  pass(changes: readonly Change[], concerned: readonly number[]): readonly Change[];
  /** Host names that are not resolved, or not again, and why. */
  unresolved(): ReadonlyMap<string, string>;
  close(): void;
}

export interface HostnamesOptions {
  readonly resolver: Resolver;
  readonly timers: Timers;
  /** What answers change, never inside another call. None when only `unresolved` says something else. */
  readonly tell: (changes: readonly Change[]) => void;
}

/** Changes between two pauses. */
const aStep = 256;

interface Named {
  readonly workload: Workload;
  /** uids under which it is in the model: its own, then those for further addresses. */
  uids: readonly string[];
}

export function openHostnames({ resolver, timers, tell }: HostnamesOptions): Hostnames {
  /** By uid. */
  const named = new Map<string, Named>();
  /** Host name -> uids. */
  const users = new Map<string, Set<string>>();
  const answers = new Map<string, readonly Address[]>();
  const faults = new Map<string, string>();

  const put = (item: Named, changes: Change[]) => {
    const workloads = expand(item.workload, answers.get(item.workload.hostname) ?? []);
    const uids = workloads.map((w) => w.uid);
    for (const workload of workloads) changes.push({ kind: 'put-workload', workload });
    for (const uid of item.uids) if (!uids.includes(uid)) changes.push({ kind: 'remove-workload', uid });
    item.uids = uids;
  };

  const resolution = openResolution({
    resolver,
    timers,
    onAnswer(hostname, addresses, fault) {
      if (fault === undefined) faults.delete(hostname);
      else faults.set(hostname, fault);
      if (addresses === undefined) {
        answers.delete(hostname);
        return;
      }
      const same = addresses.join() === (answers.get(hostname) ?? []).join();
      answers.set(hostname, addresses);
      const changes: Change[] = [];
      for (const uid of same ? [] : (users.get(hostname) ?? [])) put(named.get(uid) as Named, changes);
      tell(changes);
    },
  });

  const remember = (workload: Workload): Named => {
    const item = { workload, uids: named.get(workload.uid)?.uids ?? [] };
    forget(workload.uid);
    named.set(workload.uid, item);
    const uids = users.get(workload.hostname);
    if (uids) uids.add(workload.uid);
    else users.set(workload.hostname, new Set([workload.uid]));
    return item;
  };

  const forget = (uid: string) => {
    const item = named.get(uid);
    if (!item) return;
    named.delete(uid);
    const uids = users.get(item.workload.hostname);
    uids?.delete(uid);
    if (uids?.size === 0) users.delete(item.workload.hostname);
  };

  /** The change, and what follows from it for the workloads that were made of the one it is about. */
  const take = (change: Change, out: Change[]) => {
    if (change.kind === 'put-workload' && isNamed(change.workload)) {
      put(remember(change.workload), out);
      return;
    }
    out.push(change);
    const uid = uidOf(change);
    const item = uid === undefined ? undefined : named.get(uid);
    if (uid === undefined || !item) return;
    forget(uid);
    for (const other of item.uids) if (other !== uid) out.push({ kind: 'remove-workload', uid: other });
  };

  return {
    *concerned(changes) {
      const found: number[] = [];
      const fresh = new Set<string>();
      for (let i = 0; i < changes.length; i++) {
        if ((i + 1) % aStep === 0) yield;
        const change = changes[i] as Change;
        const uid = uidOf(change) ?? '';
        if (change.kind === 'put-workload' && isNamed(change.workload)) fresh.add(uid);
        // As a rule there are none, and no name is looked up.
        if ((fresh.size > 0 && fresh.has(uid)) || (named.size > 0 && named.has(uid))) found.push(i);
      }
      return found;
    },
    pass(changes, concerned) {
      if (concerned.length === 0) return changes;
      const before = new Set(users.keys());
      const out: Change[][] = [];
      let from = 0;
      for (const at of concerned) {
        const instead: Change[] = [];
        take(changes[at] as Change, instead);
        out.push(changes.slice(from, at), instead);
        from = at + 1;
      }
      out.push(changes.slice(from));
      const wanted = new Set(users.keys());
      // Asks for new names, and forgets what nobody has: both without a call of `tell`.
      if (wanted.size !== before.size || [...wanted].some((name) => !before.has(name))) resolution.want(wanted);
      return out.flat();
    },
    unresolved: () => faults,
    close: () => resolution.close(),
  };
}

function isNamed({ hostname, addresses }: Workload): boolean {
  return addresses.length === 0 && hostname !== '';
}

function uidOf(change: Change): string | undefined {
  if (change.kind === 'put-workload') return change.workload.uid;
  return change.kind === 'remove-workload' ? change.uid : undefined;
}

/**
 * The workload, once for each address (IPv4 and IPv6 ones in pairs): connections are then spread over all addresses of a name. The first
 * keeps the uid, so that the control plane and the model speak of the same one.
 */
function expand(workload: Workload, addresses: readonly Address[]): readonly Workload[] {
  const v4 = addresses.filter(isV4);
  const v6 = addresses.filter((a) => !isV4(a));
  const pairs = Array.from({ length: Math.max(v4.length, v6.length) }, (_, i) =>
    [v4[i], v6[i]].filter((a) => a !== undefined),
  );
  if (pairs.length === 0) return [workload];
  return pairs.map((pair, i) => ({
    ...workload,
    uid: i === 0 ? workload.uid : `${workload.uid}/${pair[0]}`,
    addresses: pair,
  }));
}
