// SPDX-License-Identifier: Apache-2.0
// What it takes to decode what a control plane sends: CPU and memory a workload, beside a general decoder that only makes objects.
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import protobuf from 'protobufjs';
import { openDecoder } from '../src/source/xds/decode/decoder.ts';
import { readResponse } from '../src/source/xds/decode/response.ts';
import { type Response, typeUrls } from '../src/source/xds/types.ts';
import { type Line, report } from './report.ts';

const services = 10_000;
const workloads = 100_000;
const rounds = 5;
/** Of what a general decoder takes, envelope and all; how many microseconds that is depends on the machine. */
const mostShare = 0.5;

/** A pod as istiod describes one in a mesh whose services have waypoints. */
function workload(n: number): object {
  const app = `app-${n % services}`;
  const namespace = `team-${n % 200}`;
  const name = `${app}-7f9c6d5b8-${n.toString(36).padStart(5, 'x')}`;
  return {
    uid: `Kubernetes//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses: [Buffer.from([172, 16 + (n >> 16), (n >> 8) & 255, n & 255])],
    network: 'network-1',
    tunnelProtocol: 1,
    trustDomain: 'cluster.local',
    serviceAccount: app,
    node: `node-${n % 500}.eu-west-1.compute.internal`,
    canonicalName: app,
    canonicalRevision: 'v1',
    workloadType: 0,
    workloadName: app,
    clusterId: 'Kubernetes',
    locality: { region: 'eu-west-1', zone: `eu-west-1${'abc'[n % 3]}` },
    authorizationPolicies: [`${namespace}/allow-${app}`, 'istio-system/istio_converted_static_strict'],
    services: {
      [`${namespace}/${app}.${namespace}.svc.cluster.local`]: {
        ports: [
          { servicePort: 80, targetPort: 8080 },
          { servicePort: 9090, targetPort: 9090 },
        ],
      },
    },
    waypoint: {
      hostname: { namespace, hostname: `waypoint.${namespace}.svc.cluster.local` },
      hboneMtlsPort: 15008,
    },
  };
}

function encoded(root: protobuf.Root): Uint8Array {
  const address = root.lookupType('istio.workload.Address');
  const response = root.lookupType('envoy.service.discovery.v3.DeltaDiscoveryResponse');
  const resources = Array.from({ length: workloads }, (_, n) => {
    const body = workload(n) as { uid: string };
    const value = address.encode(address.fromObject({ workload: body })).finish();
    return {
      name: body.uid,
      version: n.toString(16).padStart(16, '0'),
      resource: { type_url: typeUrls.address, value },
    };
  });
  return response.encode(response.fromObject({ typeUrl: typeUrls.address, nonce: 'n', resources })).finish();
}

function cpuMicros(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/** The least of some rounds: what it takes when nothing else gets in the way. */
function least(run: () => void): number {
  return Math.min(...Array.from({ length: rounds }, () => cpuMicros(run))) / workloads;
}

function readAll(bytes: Uint8Array): Response {
  const steps = readResponse(bytes);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Bytes of the heap that stay for what `make` returns. */
function retained(make: () => unknown): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const before = process.memoryUsage().heapUsed;
  const held = make();
  collect();
  const after = process.memoryUsage().heapUsed;
  return held === undefined ? 0 : (after - before) / workloads;
}

export async function benchDecode(): Promise<Line[]> {
  const root = new protobuf.Root();
  root.loadSync(['workload', 'discovery'].map((name) => join(import.meta.dirname, '..', 'proto', `${name}.proto`)));
  const bytes = encoded(root);
  const { resources } = readAll(bytes);
  const own = () => {
    const decoder = openDecoder();
    return resources.map((raw) => {
      const checked = decoder.check('address', raw);
      if (!checked.ok) throw new Error(checked.faults.join('; '));
      return checked.change;
    });
  };
  const type = root.lookupType('istio.workload.Address');
  const general = () => resources.map((raw) => type.decode(raw.bytes.subarray(raw.start, raw.end)));
  const envelope = least(() => readAll(bytes));
  const bodies = least(own);
  const objects = least(general);
  const micros = (n: number) => `${n.toFixed(2)} us`;
  return report(`decoding ${workloads} workloads of ${Math.round(bytes.length / workloads)} bytes`, [
    { what: 'CPU a workload: the response taken apart', figure: micros(envelope) },
    { what: 'CPU a workload: its body checked and put into the model', figure: micros(bodies) },
    {
      what: 'CPU a workload: both',
      figure: micros(envelope + bodies),
      limit: `at most ${mostShare} of protobufjs`,
      met: envelope + bodies <= mostShare * objects,
    },
    { what: 'CPU a workload: objects by protobufjs, nothing checked', figure: micros(objects) },
    { what: 'memory a workload', figure: `${Math.round(retained(own))} bytes` },
    { what: 'memory a workload: objects by protobufjs', figure: `${Math.round(retained(general))} bytes` },
  ]);
}
