// SPDX-License-Identifier: Apache-2.0
// Random routes, policies and balancers: whatever of them is taken here, an Envoy takes that nobody configured for it.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelOf } from '../../src/mesh/apply.ts';
import { finish } from '../../src/mesh/steps.ts';
import { openBuilder } from '../../src/source/file/build/builder.ts';
import { openFolder } from '../../src/source/file/folder.ts';
import { readFileText } from '../../src/source/file/read.ts';
import { hasEnvoy, type Lab, openLab } from '../support/l7.ts';
import { documentsFor } from '../support/l7-arbitrary.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const gateway = `
${waypointGateway}`;
const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
const speeches = ['http', 'http', 'grpc', 'tls', 'tcp', ''];
const services = names.map((name, i) => {
  const ports = `[{name: a, port: 80, appProtocol: "${speeches[i % speeches.length]}"}, {name: b, port: 81}]`;
  return `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.1.${i + 1}, ports: ${ports}}
---`;
});

/** Documents that have a fault are left out, as the agent does; `taken`: how many are not. */
function meshOf(documents: readonly object[]) {
  const files = new Map([['mesh.yaml', readFileText('mesh.yaml', gateway + services.join(''))]]);
  documents.forEach((document, i) => {
    files.set(`${i}.json`, readFileText(`${i}.json`, JSON.stringify(document)));
  });
  const folder = openFolder();
  folder.order([...files.keys()]);
  const builder = openBuilder();
  const model = finish(modelOf(builder.update(folder.update(files))));
  const faulty = new Set(folder.report(builder.warnings()).faults.map(({ file }) => file));
  return { model, taken: documents.length - faulty.size };
}

/** The same ones each time; more of them by hand, with other seeds. */
const [rounds, seed] = [Number(process.env.KMESH_FUZZ_ROUNDS ?? 25), Number(process.env.KMESH_FUZZ_SEED ?? 1)];

let lab: Lab;
describe.skipIf(!hasEnvoy)('random documents', () => {
  beforeAll(async () => {
    lab = await openLab(gateway);
  });
  afterAll(() => lab?.close());

  test('are refused here or taken by Envoy', { timeout: 600_000 }, async () => {
    const samples = fc.sample(fc.tuple(...names.map(documentsFor)), { numRuns: rounds, seed });
    let [all, taken] = [0, 0];
    for (const sample of samples) {
      const documents = sample.flat();
      const mesh = meshOf(documents);
      all += documents.length;
      taken += mesh.taken;
      lab.control.update(mesh.model);
      await lab.until(() => {
        const [proxy] = lab.control.status()[0]?.proxies ?? [];
        return proxy?.types.every(({ awaited }) => awaited === 0) === true;
      }, 'answered');
      expect(lab.control.status().flatMap(({ refused }) => refused)).toEqual([]);
    }
    // They are not all nonsense.
    expect(taken).toBeGreaterThan(all / 2);
  });
});
