// SPDX-License-Identifier: Apache-2.0
// Maps as plans leave them after random changes, copied into the kernel: the program that judges says what the model means.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DataPlane, MapHandle } from '../../src/kernel/dataplane.ts';
import { addressBytes } from '../../src/net/address.ts';
import { probes, wantedVerdicts } from '../compile/authz/kernel-verdicts.ts';
import { hosts, run, steps } from '../compile/authz/plan-run.ts';
import { type AuthzProgram, openAuthzProgram } from '../support/authz-program.ts';
import type { Instance } from '../support/instance.ts';
import { lookupContext, runProgram } from '../support/program-run.ts';

let judging: AuthzProgram;
let instance: Instance;
let program: number;

beforeAll(async () => {
  judging = await openAuthzProgram(`km-planned-${process.pid}`);
  ({ instance, program } = judging);
});

afterAll(() => judging?.close());

/** What verdicts are read from. Without pod_address, so that pods are strangers to themselves. */
const read = [
  ...['authz_dest', 'authz_stack', 'authz_set', 'authz_source', 'authz_value', 'authz_range', 'authz_word'],
  'authz_member',
] as readonly 'authz_word'[];

/** Copies what a plane holds; what it answers takes it away again. */
function copy(from: DataPlane): () => void {
  const copied = read.map((name) => {
    const to: MapHandle<'authz_word'> = instance.plane.map(name);
    const entries = [...from.map(name).entries()];
    to.put(entries);
    return () => to.delete(entries.map(([key]) => key));
  });
  return () => {
    for (const undo of copied) undo();
  };
}

test('every destination, asked by everybody', () => {
  let asked = 0;
  fc.assert(
    fc.property(steps, fc.array(fc.boolean(), { maxLength: 6 }), (changes, releases) => {
      const { plane, of } = run(changes, releases);
      const index = of.index();
      const wanted = wantedVerdicts(index, of.model(), hosts);
      const undo = copy(plane);
      for (const destination of index.destinations.keys()) {
        for (const { source, port } of probes) {
          if (source === destination) continue;
          const context = lookupContext({
            protocol: 'tcp',
            source: addressBytes(source),
            destination: addressBytes(destination),
            sourcePort: 40000,
            port,
          });
          const verdict = wanted.get(`${destination} ${source} ${port}`) as string;
          const { answer } = runProgram(program, { context });
          if (answer !== (/^(true|host)/.test(verdict) ? 1 : 0)) {
            expect({ destination, source, port, answer }).toEqual({ verdict });
          }
          asked++;
        }
      }
      undo();
    }),
    { numRuns: 40 },
  );
  expect(asked).toBeGreaterThan(20);
}, 300_000);
