// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { policyKey } from '../../../src/mesh/policy.ts';
import { serviceKey } from '../../../src/mesh/service.ts';
import { openDecoder } from '../../../src/source/xds/decode/decoder.ts';
import type { Checked, TypeName } from '../../../src/source/xds/types.ts';
import { encode, resource } from './decode-messages.ts';
import { anyAddress, anyAuthorization } from './decode-random.ts';
import { type Reference, referenceAddress, referenceAuthorization } from './decode-reference.ts';

/** Field of a fault: what stands before its reason. */
const fieldOf = (fault: string) => /^[\w.[\]]+(?=: )/.exec(fault)?.[0] ?? '';

function nameOf(change: unknown): string {
  const of = change as { workload?: { uid: string }; service?: never; policy?: never } | undefined;
  if (of?.workload) return of.workload.uid;
  if (of?.service) return serviceKey(of.service);
  return of?.policy ? policyKey(of.policy) : '';
}

function compare(checked: Checked, { wrong, change }: Reference): void {
  const fields = checked.ok ? [] : checked.faults.map(fieldOf);
  expect(new Set(fields)).toEqual(wrong);
  if (checked.ok) expect(checked.change).toEqual(change);
}

const references: Record<TypeName, (body: Uint8Array) => Reference> = {
  address: referenceAddress,
  authorization: referenceAuthorization,
};

test.each([
  ['address', anyAddress, 2000],
  ['authorization', anyAuthorization, 1000],
] as const)('any %s is decoded to what a plain decoder makes of it', (type, any, numRuns) => {
  // One decoder for all, so that what it keeps is seen by the next.
  const decoder = openDecoder();
  fc.assert(
    fc.property(any, (fields) => {
      const body = encode(type, fields);
      const reference = references[type](body);
      compare(decoder.check(type, resource(type, nameOf(reference.change), body)), reference);
    }),
    { numRuns },
  );
});
