// SPDX-License-Identifier: Apache-2.0
// Verdicts as text: from what was compiled, and from what maps hold.
import { nameKind } from '../../../src/abi/structs.ts';
import type { AuthzIndex } from '../../../src/compile/authz/compile.ts';
import { askedFromMaps, heldSource, heldStack } from '../../../src/compile/authz/from-maps.ts';
import { type Judgement, judge, judgeAsked } from '../../../src/compile/authz/judge.ts';
import { joinName, partCount } from '../../../src/compile/names.ts';
import type { DataPlane } from '../../../src/kernel/dataplane.ts';
import { type Identity, identityOf, ownerOf } from '../../../src/mesh/identity.ts';
import type { Model } from '../../../src/mesh/model.ts';
import { type Policy, policyKey } from '../../../src/mesh/policy.ts';
import { view } from '../../mesh/make.ts';

export interface Probe {
  readonly source: string;
  readonly port: number;
}

export const probes: readonly Probe[] = ['10.0.0.1', '10.0.0.2', '10.0.1.1', '2001:db8::1'].flatMap((source) =>
  [80, 443].map((port) => ({ source, port })),
);

/** 'host': exempt. */
export type Who = Identity | 'host' | undefined;

/** Who an address is by the model alone. */
export function whoIs(model: Model, address: string, hosts: ReadonlySet<string> = new Set()): Who {
  const owner = ownerOf(
    [...model.workloads.values()].filter((w) => w.addresses.includes(address)),
    view.network,
  );
  return owner ? identityOf(owner) : hosts.has(address) ? 'host' : undefined;
}

function text<P>({ allowed, why, by, dryRun }: Judgement<P>, nameOf: (policy: P) => string): string {
  const name = by ? ` ${nameOf(by.policy)}#${by.rule}` : '';
  const dry = dryRun ? ` dry ${dryRun.allowed}${dryRun.by ? ` ${nameOf(dryRun.by.policy)}` : ''}` : '';
  return `${allowed} ${why}${name}${dry}`;
}

/** @param destination what holds there; undefined: nothing is known of it */
export function compiledVerdict(
  destination: { readonly stack: Parameters<typeof judge>[0] } | undefined,
  identity: Who,
  { source, port }: Probe,
): string {
  if (!destination) return 'pending';
  if (identity === 'host') return 'host';
  return text<Policy>(judge(destination.stack, { identity, source, port }), policyKey);
}

function policyName(plane: DataPlane, id: number): string {
  const part = (i: number) => plane.map('name').get({ id, kind: nameKind.policy, part: i });
  const first = part(0);
  return (first && joinName(Array.from({ length: partCount(first.length) }, (_, i) => part(i)))) ?? `policy ${id}`;
}

export function heldVerdict(plane: DataPlane, to: string, { source, port }: Probe): string {
  const stack = heldStack(plane, to);
  if (!stack) return 'pending';
  const identity = heldSource(plane, source);
  if (identity === 'host') return 'host';
  const sets = askedFromMaps(plane, stack, { identity, source, port });
  return text<number>(judgeAsked(sets, stack), (id) => policyName(plane, id));
}

/** Everything that is asked of everything, as it should be. */
export function wantedVerdicts(index: AuthzIndex, model: Model, hosts?: ReadonlySet<string>): Map<string, string> {
  const out = new Map<string, string>();
  for (const [to, destination] of index.destinations) {
    for (const probe of probes) {
      out.set(
        `${to} ${probe.source} ${probe.port}`,
        compiledVerdict(destination, whoIs(model, probe.source, hosts), probe),
      );
    }
  }
  return out;
}

export function heldVerdicts(plane: DataPlane): Map<string, string> {
  const out = new Map<string, string>();
  for (const [to] of plane.map('authz_dest').entries()) {
    for (const probe of probes) out.set(`${to} ${probe.source} ${probe.port}`, heldVerdict(plane, to, probe));
  }
  return out;
}
