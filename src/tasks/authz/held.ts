// SPDX-License-Identifier: Apache-2.0
// What becomes of a connection by what the kernel holds: asked of the pinned maps in the order in which the programs ask them.
import { dimensionIndex } from '../../abi/structs.ts';
import { type Explanation, explainAsked, type Miss } from '../../compile/authz/explain.ts';
import { askedFromMaps, type HeldStack, heldSource, heldStack } from '../../compile/authz/from-maps.ts';
import type { Match, Verdict } from '../../compile/authz/judge.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import type { Dimension } from '../../mesh/conjunction.ts';
import type { Told, ToldRule, ToldVerdict } from '../../mesh/told.ts';
import type { Address } from '../../net/address.ts';
import { unanswered } from '../held/demand.ts';
import { readName } from '../held/names.ts';

/**
 * 'policies': they decided. 'closed': they did, and something is wrong with one, so that nothing gets in. 'pending': none are known yet, and nothing gets in.
 * 'host': the source is an address of this node, which is exempt. 'own': the pod's own traffic. 'unknown-source': on demand, until the
 * source was asked for. 'not-judged': nothing is judged at that address.
 */
export type Because = 'policies' | 'closed' | 'pending' | 'host' | 'own' | 'unknown-source' | 'not-judged';

export interface HeldVerdict {
  readonly verdict: 'allow' | 'deny';
  readonly because: Because;
  /** "cluster.local/ns/shop/sa/cart" of the source; '' when it has none, or nobody looked. */
  readonly principal: string;
  /** What the policies say; when they were asked. */
  readonly told?: Told;
}

export interface Connection {
  readonly source: Address;
  readonly destination: Address;
  readonly port: number;
}

export function judgeHeld(plane: DataPlane, connection: Connection): HeldVerdict {
  const { source, destination } = connection;
  const place = plane.map('pod_address').get(destination);
  if (isLoopback(source) || (place && plane.map('pod_address').get(source)?.netns === place.netns)) {
    return { verdict: 'allow', because: 'own', principal: '' };
  }
  const judged = place !== undefined && plane.enforced().has(BigInt(place.netns));
  if (!judged) return { verdict: 'allow', because: 'not-judged', principal: '' };
  const stack = heldStack(plane, destination);
  if (stack === undefined) return { verdict: 'deny', because: 'pending', principal: '' };
  const identity = heldSource(plane, source);
  if (identity === 'host') return { verdict: 'allow', because: 'host', principal: '' };
  const principal = readName(plane, 'identity', identity);
  if (identity === 0 && isUnanswered(plane, source, stack)) {
    return { verdict: 'deny', because: 'unknown-source', principal };
  }
  const told = tellHeld(explainAsked(askedFromMaps(plane, stack, { ...connection, identity }), stack), (id) =>
    readName(plane, 'policy', id),
  );
  return { verdict: told.verdict, because: stack.closed ? 'closed' : 'policies', principal, told };
}

const isLoopback = (address: Address): boolean => address === '::1' || address.startsWith('127.');

/** On demand: nobody has said yet whether the mesh knows the source, and some policy asks who it is. */
function isUnanswered(plane: DataPlane, source: Address, { sets }: HeldStack): boolean {
  if (unanswered(plane, undefined, source) === undefined) return false;
  return sets.some(({ set }) => ((plane.map('authz_set').get(set)?.used ?? 0) & (1 << dimensionIndex.identity)) !== 0);
}

const asksFor: Readonly<Record<Dimension, string>> = {
  identity: 'another identity',
  source: 'another source address',
  destination: 'another destination address',
  port: 'another port',
};

/** The maps know policies by number; what a rule asks for they do not tell. */
function tellHeld({ judgement, nearest }: Explanation<number>, nameOf: (policy: number) => string): Told {
  const ruleOf = ({ policy, rule }: Match<number>, action: ToldRule['action']): ToldRule => {
    return { policy: nameOf(policy), action, rule, place: '' };
  };
  const verdictOf = ({ allowed, why, by }: Verdict<number>): ToldVerdict => ({
    verdict: allowed ? 'allow' : 'deny',
    why,
    ...(by && { by: ruleOf(by, why === 'deny' ? 'deny' : 'allow') }),
  });
  return {
    ...verdictOf(judgement),
    nearest: nearest.map((miss: Miss<number>) => ({
      ...ruleOf(miss, 'allow'),
      asks: miss.because.map((dimension) => asksFor[dimension]).join(' and '),
    })),
    ...(judgement.dryRun && { dryRun: verdictOf(judgement.dryRun) }),
  };
}
