// SPDX-License-Identifier: Apache-2.0
// Begins or ends judging what comes to workloads that are enrolled already: one, or all.
import { closeSync } from 'node:fs';
import { enforcementIn, podAddresses } from '../../agent/enforcement.ts';
import { readEnrolments } from '../../agent/enrolments.ts';
import { lockHolder, withLock } from '../../agent/lock.ts';
import type { Enrolment } from '../../compile/enrolment.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { cgroupPath } from '../../kernel/cgroup.ts';
import { type NetnsFinder, netnsFinder } from '../../kernel/find-netns.ts';
import { openPinned, type PinnedDataPlane } from '../../kernel/pinned.ts';
import { recover } from '../../kernel/swap-recovery.ts';
import type { ChangeResult, Step } from '../change.ts';
import { readNames } from '../held/names.ts';
import { type CgroupNetwork, openNetwork, requireOwnNetwork } from '../judged-network.ts';
import { changeEnrolments } from '../write-enrolments.ts';

export interface SwitchOptions {
  readonly place: Place;
  readonly on: boolean;
  /** "namespace/name"; absent: everything that is enrolled. */
  readonly workload?: string;
  /** Whoever asks knows what it opens or closes. */
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** KM_USAGE without `yes`, naming what it would open or close; KM_NOT_ENROLLED; KM_NETNS for one that cannot be judged. */
export async function switchPolicies(_env: Env, options: SwitchOptions): Promise<ChangeResult> {
  const { place, dryRun, on, yes } = options;
  const work = (changes: boolean): ChangeResult => {
    if (changes) recover(place.bpffs);
    const plane = openPinned(place.bpffs);
    try {
      return on ? enable(plane, options) : disable(plane, options);
    } finally {
      plane.close();
    }
  };
  if (dryRun || !yes) return work(false);
  return withLock(place.runDir, { command: `kmeshctl authz ${on ? 'enable' : 'disable'}` }, () => work(true));
}

type Held = ReadonlyMap<bigint, Enrolment>;

/** Those that are meant. */
function choose(held: Held, workload: string | undefined): Enrolment[] {
  const chosen = [...held.values()].filter((one) => workload === undefined || one.workload === workload);
  if (chosen.length > 0 || workload === undefined) {
    return chosen.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }
  const unnamed = [...held.values()].some((one) => one.workload === '');
  throw new KmeshError('KM_NOT_ENROLLED', `no cgroup is enrolled as ${workload}`, {
    hint: unnamed
      ? '"kmeshctl enroll CGROUP --workload NS/NAME" names what was enrolled without a name'
      : '"kmeshctl enrolled" lists what is enrolled',
  });
}

const nameOf = ({ workload, cgroupId }: Enrolment): string =>
  workload || (cgroupPath(cgroupId) ?? `cgroup ${cgroupId}`);

/** So many are named; of more only how many. */
const mostNamed = 20;

function listed(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return names.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** What is to be done, told by what it means to whom. */
interface Change {
  /** "let everything in to shop/cart-0" */
  readonly means: string;
  readonly steps: readonly Step[];
  /** What is not done, and why; '' when all is. */
  readonly left: string;
  carryOut(): string;
}

function settle({ yes, dryRun, on }: SwitchOptions, { means, steps, left, carryOut }: Change): ChangeResult {
  const after = left === '' ? '' : `; ${left}`;
  if (steps.length === 0)
    return { dryRun, summary: `nothing to do: ${on ? 'all' : 'none'} is judged already${after}`, steps };
  if (dryRun) return { dryRun, summary: `nothing was changed; it would ${means}${after}`, steps };
  if (yes) return { dryRun, summary: carryOut() + after, steps };
  throw new KmeshError('KM_USAGE', `this would ${means}${after}`, {
    hint: 'give --yes to do it, or --dry-run to see the steps',
  });
}

function disable(plane: PinnedDataPlane, options: SwitchOptions): ChangeResult {
  const held = readEnrolments(plane);
  const todo = choose(held, options.workload).filter(({ authz }) => authz);
  const wanted = new Map(held);
  for (const one of todo) wanted.set(one.cgroupId, { ...one, authz: false });
  const addresses = podAddresses(plane);
  const open = todo.map((one) => {
    const own = addresses.get(one.netns) ?? [];
    return own.length === 0 ? nameOf(one) : `${nameOf(one)} (${[...own].sort().join(', ')})`;
  });
  // Several cgroups may share a network: it is judged while one of them asks for that.
  const still = new Set([...wanted.values()].filter(({ authz }) => authz).map(({ netns }) => netns));
  const shared = todo.filter(({ netns }) => still.has(netns)).map(nameOf);
  return settle(options, {
    means: `let everything in to ${listed(open)}, whatever their policies say`,
    left: shared.length === 0 ? '' : `still judged, as another cgroup of the same network is: ${listed(shared)}`,
    steps: todo.flatMap((one) => [
      { action: 'write', what: nameOf(one), detail: 'inbound connections are not judged' },
      { action: 'detach', what: 'authorization', detail: `network namespace ${one.netns}` },
    ]),
    carryOut() {
      changeEnrolments(options.place, plane, { held, wanted, networks: [], names: readNames(plane) });
      return `not judged any more: ${listed(todo.map(nameOf))}`;
    },
  });
}

/** The network that it was enrolled with; when that is gone or not known, the one that its processes share now. */
function networkOf({ cgroupId, netns }: Enrolment, finder: NetnsFinder): CgroupNetwork {
  const fd = netns === 0n ? undefined : finder.open(netns);
  if (fd === undefined) return openNetwork(undefined, cgroupId);
  return { inode: netns, fd, count: 1, close: () => closeSync(fd) };
}

function enable(plane: PinnedDataPlane, options: SwitchOptions): ChangeResult {
  const held = readEnrolments(plane);
  const finder = netnsFinder();
  const todo: { readonly one: Enrolment; readonly network: CgroupNetwork }[] = [];
  const cannot: string[] = [];
  try {
    for (const one of choose(held, options.workload).filter(({ authz }) => !authz)) {
      const network = networkOf(one, finder);
      try {
        requireOwnNetwork(nameOf(one), network);
        todo.push({ one, network });
      } catch (fault) {
        network.close();
        // Of all, those that cannot be judged stay as they are.
        if (options.workload !== undefined || !(fault instanceof KmeshError)) throw fault;
        cannot.push(nameOf(one));
      }
    }
    const wanted = new Map(held);
    for (const { one, network } of todo) wanted.set(one.cgroupId, { ...one, netns: network.inode, authz: true });
    const names = todo.map(({ one }) => nameOf(one));
    const agent = lockHolder(options.place.runDir, 'agent.lock') !== undefined;
    const closes = (whom: string): string =>
      agent
        ? `refuse, and end, inbound connections of ${whom} that their policies do not allow`
        : `refuse all inbound connections of ${whom}, as no agent runs that knows policies`;
    return settle(options, {
      means: closes(listed(names)),
      left: cannot.length === 0 ? '' : `left open, as they have no network of their own: ${listed(cannot)}`,
      steps: todo.flatMap(({ one, network }) => [
        { action: 'attach', what: 'authorization', detail: `network namespace ${network.inode}` },
        { action: 'write', what: nameOf(one), detail: 'inbound connections are judged' },
      ]),
      carryOut() {
        const networks = todo.flatMap(({ network }) => network.fd ?? []);
        changeEnrolments(options.place, plane, { held, wanted, networks, names: readNames(plane) });
        const stateOf = enforcementIn(plane);
        const pending = todo.filter(({ network }) => stateOf({ authz: true, netns: network.inode }) === 'pending');
        const until = pending.length === 0 ? '' : '; nothing gets in until their policies are known';
        return `judged from now on: ${listed(names)}${until}`;
      },
    });
  } finally {
    for (const { network } of todo) network.close();
  }
}
