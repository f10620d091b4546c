// SPDX-License-Identifier: Apache-2.0
// A list of policies compiled and asked.
import { type Judgement, judge, type Stack } from '../../../src/compile/authz/judge.ts';
import { compilingSet, packingMembers } from '../../../src/compile/authz/set.ts';
import type { Policy } from '../../../src/mesh/policy.ts';
import { finish } from '../../../src/mesh/steps.ts';
import type { Connection } from '../../support/authz-reference.ts';

export function stackOf(list: readonly Policy[], destination: string): Stack {
  const some = (dry: boolean) => list.some((p) => p.action === 'allow' && (dry || !p.dryRun));
  const sets = finish(packingMembers(list)).map((members) => finish(compilingSet(members)));
  return {
    sets: sets.map((set) => ({ set, destination: set.destinationVector(destination) })),
    allows: some(false),
    dryAllows: some(true),
    dry: list.some((p) => p.dryRun),
  };
}

export function judged(list: readonly Policy[], connection: Connection): Judgement {
  return judge(stackOf(list, connection.destination), connection);
}
