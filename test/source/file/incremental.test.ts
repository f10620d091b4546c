// SPDX-License-Identifier: Apache-2.0
// After any sequence of edits the builder holds what it would have built from scratch, and its changes add up to that.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Gateway, gatewayKey } from '../../../src/mesh/gateway.ts';
import type { Change } from '../../../src/mesh/model.ts';
import { type Policy, policyKey } from '../../../src/mesh/policy.ts';
import { type Service, serviceKey } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';
import { openBuilder } from '../../../src/source/file/build/builder.ts';
import { openFolder } from '../../../src/source/file/folder.ts';
import { readFileText } from '../../../src/source/file/read.ts';
import { renderFinding } from '../../../src/source/findings.ts';
import { document } from './random-documents.ts';

const names = ['a', 'b', 'c'];
const edit = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      file: fc.constantFrom(...names),
      documents: fc.option(fc.array(document, { maxLength: 8 }), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      host: fc.constantFrom('h1.example.com', 'one.example.com'),
      last: fc.option(fc.nat({ max: 3 }), { nil: undefined }),
    }),
  },
);

function open() {
  const folder = openFolder();
  folder.order(names);
  return { folder, builder: openBuilder() };
}

const byKey = <T>(map: ReadonlyMap<string, T>) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));

test('incremental equals from scratch', () => {
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 10 }), (edits) => {
      const { folder, builder } = open();
      const services = new Map<string, Service>();
      const workloads = new Map<string, Workload>();
      const policies = new Map<string, Policy>();
      const gateways = new Map<string, Gateway>();
      const take = (changes: readonly Change[]) => {
        for (const change of changes) {
          if (change.kind === 'put-service') services.set(serviceKey(change.service), change.service);
          else if (change.kind === 'put-workload') workloads.set(change.workload.uid, change.workload);
          else if (change.kind === 'remove-service') expect(services.delete(change.key)).toBe(true);
          else if (change.kind === 'remove-workload') expect(workloads.delete(change.uid)).toBe(true);
          else if (change.kind === 'put-gateway') gateways.set(gatewayKey(change.gateway), change.gateway);
          else if (change.kind === 'remove-gateway') expect(gateways.delete(change.key)).toBe(true);
          else if (change.kind === 'put-policy') policies.set(policyKey(change.policy), change.policy);
          else if (change.kind === 'remove-policy') expect(policies.delete(change.key)).toBe(true);
        }
      };
      const files = new Map<string, string>();
      const resolved = new Map<string, string[]>();
      for (const step of edits) {
        if ('host' in step) {
          const addresses = step.last === undefined ? undefined : [`192.0.2.${step.last}`, '192.0.2.9'];
          if (addresses) resolved.set(step.host, addresses);
          else resolved.delete(step.host);
          take(builder.resolve(step.host, addresses));
          continue;
        }
        const text = step.documents?.join('\n---\n');
        if (text === undefined) files.delete(step.file);
        else files.set(step.file, text);
        const contents = text === undefined ? undefined : readFileText(step.file, text);
        expect(contents?.faults.map(renderFinding) ?? []).toEqual([]);
        take(builder.update(folder.update([[step.file, contents]])));
      }

      const fresh = open();
      for (const [host, addresses] of resolved) fresh.builder.resolve(host, addresses);
      const anew = fresh.builder.update(
        fresh.folder.update([...files].map(([file, text]) => [file, readFileText(file, text)])),
      );
      const gatewaysAnew = anew.flatMap((c) =>
        c.kind === 'put-gateway' ? [[gatewayKey(c.gateway), c.gateway] as const] : [],
      );
      expect(byKey(gateways)).toEqual(byKey(new Map(gatewaysAnew)));
      expect(byKey(builder.services)).toEqual(byKey(fresh.builder.services));
      expect(byKey(builder.workloads)).toEqual(byKey(fresh.builder.workloads));
      expect(byKey(builder.policies)).toEqual(byKey(fresh.builder.policies));
      expect(byKey(policies)).toEqual(byKey(fresh.builder.policies));
      expect(byKey(services)).toEqual(byKey(fresh.builder.services));
      expect(byKey(workloads)).toEqual(byKey(fresh.builder.workloads));
      expect(new Set(builder.hostnames())).toEqual(new Set(fresh.builder.hostnames()));
      const warnings = (from: typeof builder) => from.warnings().map(renderFinding).sort();
      expect(warnings(builder)).toEqual(warnings(fresh.builder));
      expect(folder.report([]).faults).toEqual(fresh.folder.report([]).faults);
    }),
    { numRuns: 100 },
  );
}, 60_000);
