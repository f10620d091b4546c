// SPDX-License-Identifier: Apache-2.0
// What is encoded for Envoy, read by reflection over proto/envoy: shares no code with the encoder.
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { expect, test } from 'vitest';
import { attachRoutes } from '../../src/compile/l7/attach.ts';
import { openWaypointCompiler, type Resources } from '../../src/compile/l7/compile.ts';
import { waypointScope } from '../../src/compile/l7/scope.ts';
import { type TypeName, typeNames, typeUrls } from '../../src/waypoint/types.ts';
import { openWholeEncoder } from '../support/encode.ts';
import { modelOfYaml } from '../support/l7.ts';
import { project } from '../support/project.ts';
import { waypointGateway } from '../support/waypoint-gateway.ts';

const folder = join(project, 'proto/envoy');
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith('google/') ? target : join(folder, target));
root.loadSync(['route.proto', 'cluster.proto', 'endpoint.proto', 'listener.proto']);

function resources(): Resources {
  const model = modelOfYaml(`
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80}, {name: tls, port: 443}]}
---
${waypointGateway}
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: shop, labels: {app: a}}
spec: {nodeName: n}
status: {podIP: 10.2.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {name: t, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart, port: 443}], hostnames: [a.b], rules: [{backendRefs: [{name: cart, port: 443}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, port: 80}]
  rules:
  - matches: [{path: {value: /a}, method: GET, headers: [{name: h, value: x.*, type: RegularExpression}], queryParams: [{name: q, value: v}]}]
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: ""}], add: [{name: b, value: c}], remove: [d]}}
    - {type: URLRewrite, urlRewrite: {hostname: x.y, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}, percent: 25}}
    backendRefs: [{name: cart, port: 80, weight: 3}, {name: nobody, port: 80}]
    timeouts: {request: 1500ms, backendRequest: 250ms}
    retry: {codes: [500, 503], attempts: 2, backoff: 10ms}
  - backendRefs:
    - {name: cart, port: 80, filters: [{type: RequestRedirect, requestRedirect: {hostname: y.z}}]}
    - {name: cart, port: 80}
  - filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: z.z, port: 8443, path: {type: ReplaceFullPath, replaceFullPath: /n}, statusCode: 308}}]
`);
  const view = { node: 'n', network: '', clusterId: '', locality: { region: '', zone: '', subzone: '' } };
  const scope = waypointScope(model, { namespace: 'shop', name: 'waypoint' });
  return openWaypointCompiler(view).compile(model, attachRoutes(model), scope);
}

/** Plain data as the reader gives it: durations as seconds and nanoseconds, wrapped numbers as such, configurations by type alone. */
function asRead(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => asRead(one));
  if (typeof value === 'number' && durations.has(key)) {
    return { seconds: Math.floor(value / 1000), nanos: (value % 1000) * 1_000_000 };
  }
  if ((typeof value === 'number' || typeof value === 'boolean') && wrapped.has(key)) return { value };
  if (typeof value !== 'object' || value === null) return value;
  if ('type' in value && 'value' in value) return { type_url: `type.googleapis.com/${value.type}` };
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, asRead(v, k)]));
}
const durations = new Set([
  'timeout',
  'perTryTimeout',
  'baseInterval',
  'maxInterval',
  'connectTimeout',
  'listenerFiltersTimeout',
]);
const wrapped = new Set([
  'prefixLen',
  'destinationPort',
  'numRetries',
  'loadBalancingWeight',
  'maxConnections',
  'maxPendingRequests',
  'maxRequests',
  'maxRetries',
]);

/** Empty values and the bytes of configurations left out; a weight of a cluster is wrapped, by whatever name. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(plain);
  if (typeof value !== 'object' || value === null)
    return value === '' || value === 0 || value === false ? undefined : value;
  if ('type_url' in value) return { type_url: value.type_url };
  const entries = Object.entries(value).map(([k, v]) => {
    const weight = k === 'weight' && typeof v === 'object' && v !== null && 'value' in v ? v.value : v;
    return [k, plain(weight)] as const;
  });
  return Object.fromEntries(entries.filter(([, v]) => v !== undefined));
}

test('every resource reads back as what it was made of', () => {
  const made = resources();
  const encoded = openWholeEncoder()(made);
  for (const type of typeNames) {
    const message = root.lookupType(typeUrls[type].replace('type.googleapis.com/', ''));
    expect(made[type].size).toBeGreaterThan(0);
    for (const [name, value] of made[type as TypeName]) {
      const bytes = encoded[type].get(name)?.bytes as Uint8Array;
      const read = message.toObject(message.decode(bytes), { longs: Number });
      expect(plain(read)).toEqual(plain(asRead(value)));
    }
  }
});

test('the same object is encoded once, and an equal one has the same version', () => {
  const encode = openWholeEncoder();
  const made = resources();
  expect(encode(made).routes.values().next().value).toBe(encode(made).routes.values().next().value);
  const versions = (r: Resources) =>
    typeNames.flatMap((type) => [...openWholeEncoder()(r)[type].values()].map((one) => one.version));
  expect(versions(resources())).toEqual(versions(made));
});
