// SPDX-License-Identifier: Apache-2.0
// After any history of changes the resources and conditions are those that the last model alone makes, and what did not change is the same object.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { attachRoutes, openAttacher } from '../../../src/compile/l7/attach.ts';
import { openWaypointCompiler, type Resources } from '../../../src/compile/l7/compile.ts';
import { waypointScope } from '../../../src/compile/l7/scope.ts';
import { apply, emptyModel, modelOf } from '../../../src/mesh/apply.ts';
import { equal } from '../../../src/mesh/equal.ts';
import type { Gateway, GatewayAddress, GatewayDestination } from '../../../src/mesh/gateway.ts';
import type { Change, Model } from '../../../src/mesh/model.ts';
import type { BackendRef, ParentRef, Route, RouteObject } from '../../../src/mesh/route.ts';
import { finish } from '../../../src/mesh/steps.ts';
import type { WaypointPolicy } from '../../../src/mesh/waypoint-policy.ts';
import { typeNames } from '../../../src/waypoint/types.ts';
import { port, service, view, workload } from '../../mesh/make.ts';
import { openWholeEncoder } from '../../support/encode.ts';

const group = 'gateway.networking.k8s.io';
const unusable = { kind: 'unusable', reason: 'no address yet' } as const;
const way = { kind: 'hostname', namespace: 'shop', hostname: 'waypoint.shop.svc.cluster.local' } as const;
const address = { kind: 'address', network: '', address: '10.96.9.9' } as const;
const to = (destination: GatewayDestination, gateway?: string): GatewayAddress => ({
  ...{ destination, hboneMtlsPort: 0 },
  ...(gateway !== undefined && { gateway }),
});
/** One by its name, as files say it; the others by where they are, as control planes do. */
const waypoint = fc.constantFrom(
  ...[to(unusable, 'shop/waypoint'), to(unusable, 'shop/waypoint'), to(unusable, 'away/other')],
  ...[to(way), to(address), { ...to(address), binding: { header: 'none', port: 0 } as const }],
);
const gatewayKeys = ['shop/waypoint', 'away/other'];
const aGateway: fc.Arbitrary<Gateway> = fc
  .record({
    key: fc.constantFrom('shop/waypoint', ...gatewayKeys),
    className: fc.constantFrom('a', 'a2', 'b'),
    waypointFor: fc.constantFrom('all' as const, 'service' as const, 'workload' as const, 'none' as const),
    addresses: fc.uniqueArray(fc.constantFrom(way, address), { maxLength: 2 }),
    binding: fc.constantFrom(undefined, undefined, 'proxy' as const, 'kmesh' as const, 'none' as const),
  })
  .map(({ key, binding, ...rest }) => {
    const [namespace = '', name = ''] = key.split('/');
    return { namespace, name, ...rest, ...(binding && { binding: { header: binding, port: 15019 } }) };
  });

const names = ['s0', 's1', 's2'];
const namespaces = ['shop', 'away'];
const host = (name: string, namespace: string) => `${name}.${namespace}.svc.cluster.local`;
const entryHosts = ['a.example', 'b.example', host('s0', 'shop')];

const aService = fc
  .record({
    name: fc.constantFrom(...names),
    namespace: fc.constantFrom('shop', 'shop', 'away'),
    ports: fc.uniqueArray(
      fc.record({
        port: fc.constantFrom(80, 81),
        name: fc.constantFrom('a', 'b'),
        appProtocol: fc.constantFrom('http', 'http2', 'tls', 'tcp', ''),
        protocol: fc.constantFrom('tcp' as const, 'tcp' as const, 'udp' as const),
      }),
      { maxLength: 2, selector: (p) => p.port },
    ),
    address: fc.constantFrom('10.96.0.1', '10.96.0.2', '10.96.0.3', ''),
    way: fc.option(waypoint, { freq: 3, nil: undefined }),
    weighted: fc.option(fc.tuple(waypoint, waypoint), { freq: 8, nil: undefined }),
    mode: fc.constantFrom('standard' as const, 'passthrough' as const),
  })
  .map(({ name, namespace, ports, address, way: waypoint, weighted, mode }) =>
    service({
      name,
      namespace,
      hostname: host(name, namespace),
      addresses: address === '' ? [] : [{ network: '', address }],
      ports: ports.map((p) => port(p.port, p)),
      loadBalancing: { mode, scopes: [], healthPolicy: 'only-healthy' },
      ...(waypoint && { waypoint }),
      ...(weighted && { weightedWaypoints: weighted.map((destination, i) => ({ destination, weight: 20 + i })) }),
    }),
  );
const anEntry = fc
  .record({ of: aService, hostname: fc.constantFrom(...entryHosts) })
  .map(({ of, hostname }) => ({ ...of, hostname, namespace: 'shop', name: 'entry' }));
const serviceKeys = [
  ...names.flatMap((name) => namespaces.map((namespace) => `${namespace}/${host(name, namespace)}`)),
  ...entryHosts.map((one) => `shop/${one}`),
];

const uids = ['w0', 'w1', 'w2'];
const aWorkload = fc
  .record({
    uid: fc.constantFrom(...uids),
    // Few sets, so that a workload changes while it stays where it is.
    of: fc.constantFrom(
      [serviceKeys[0]],
      [serviceKeys[0]],
      serviceKeys.slice(0, 2),
      serviceKeys.slice(6, 7),
    ) as fc.Arbitrary<string[]>,
    address: fc.constantFrom('10.0.0.1', '10.0.0.2'),
    status: fc.constantFrom('healthy' as const, 'unhealthy' as const),
    way: fc.option(waypoint, { nil: undefined, freq: 1 }),
  })
  .map(({ uid, of, address, status, way: waypoint }) =>
    workload(uid, {
      addresses: [address],
      status,
      services: new Map(of.map((key) => [key, []])),
      ...(waypoint && { waypoint }),
    }),
  );

const ref = fc.oneof(
  fc.record({
    group: fc.constant(''),
    kind: fc.constant('Service'),
    namespace: fc.constantFrom(...namespaces),
    name: fc.constantFrom(...names),
  }),
  fc.record({
    group: fc.constant('networking.istio.io'),
    kind: fc.constant('ServiceEntry'),
    namespace: fc.constant('shop'),
    name: fc.constant('entry'),
  }),
  fc.constant({ group, kind: 'Gateway', namespace: 'shop', name: 'waypoint' }),
  fc.constant({ group, kind: 'Gateway', namespace: 'away', name: 'other' }),
);
const aParent: fc.Arbitrary<ParentRef> = fc
  .record({ to: ref, port: fc.option(fc.constantFrom(80, 81), { nil: undefined }) })
  .map(({ to, port: number }) => ({ ...to, ...(number !== undefined && { port: number }) }));
const aBackend: fc.Arbitrary<BackendRef> = fc
  .record({ to: ref, port: fc.constantFrom(80, 81), weight: fc.nat(2) })
  .map(({ to, ...rest }) => ({ ...to, ...rest, filters: [] }));
const routeNames = ['r0', 'r1', 'r2'];
const aRoute: fc.Arbitrary<Route> = fc
  .record({
    kind: fc.constantFrom('HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'),
    namespace: fc.constantFrom(...namespaces),
    name: fc.constantFrom(...routeNames),
    created: fc.option(fc.nat(3), { nil: undefined }),
    parents: fc.array(aParent, { maxLength: 3 }),
    rules: fc.array(
      fc.record({
        backends: fc.array(aBackend, { maxLength: 2 }),
        path: fc.constantFrom('/', '/a', '/b'),
        regex: fc.constantFrom('', '', '('),
        mirror: fc.option(aBackend, { nil: undefined }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  })
  .map(({ created, ...route }) => {
    const isHttp = route.kind === 'HTTPRoute';
    const rules = route.rules.map(({ backends, path, regex, mirror }) => ({
      name: '',
      backends,
      filters: mirror ? [{ kind: 'mirror', backend: mirror, share: [1, 2] }] : [],
      timeouts: {},
      matches: [
        isHttp
          ? { path: regex ? { kind: 'regex', value: regex } : { kind: 'prefix', value: path }, headers: [], query: [] }
          : { headers: regex ? [{ kind: 'regex', name: 'a', value: regex }] : [] },
      ],
    }));
    const more = route.kind === 'TLSRoute' ? { hostnames: ['a.b'] } : {};
    return { ...route, ...(created !== undefined && { created }), rules, ...more } as unknown as Route;
  });
const aGrant: fc.Arbitrary<RouteObject> = fc
  .record({ namespace: fc.constantFrom(...namespaces), from: fc.constantFrom(...namespaces) })
  .map(({ namespace, from }) => ({
    kind: 'ReferenceGrant',
    namespace,
    name: 'g',
    from: [{ group, kind: 'HTTPRoute', namespace: from }],
    to: [{ group: '', kind: 'Service' }],
  }));
const aPolicy: fc.Arbitrary<WaypointPolicy> = fc
  .record({
    name: fc.constantFrom('p0', 'p1'),
    targets: fc.array(
      fc.oneof(
        ref,
        fc.constantFrom(
          { group, kind: 'GatewayClass', name: 'a' },
          { group, kind: 'GatewayClass', name: 'b' },
          { group, kind: 'Gateway', name: 'waypoint' },
        ),
      ),
      { maxLength: 2 },
    ),
    action: fc.constantFrom('allow' as const, 'deny' as const),
  })
  .map((fields) => ({ kind: 'AuthorizationPolicy', namespace: 'shop', rules: [], dryRun: false, ...fields }));

const aChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.oneof(aService, anEntry).map((one): Change => ({ kind: 'put-service', service: one })) },
  { weight: 1, arbitrary: fc.constantFrom(...serviceKeys).map((key): Change => ({ kind: 'remove-service', key })) },
  { weight: 2, arbitrary: aWorkload.map((one): Change => ({ kind: 'put-workload', workload: one })) },
  { weight: 1, arbitrary: fc.constantFrom(...uids).map((uid): Change => ({ kind: 'remove-workload', uid })) },
  {
    weight: 5,
    arbitrary: fc
      .oneof({ weight: 4, arbitrary: aRoute }, aGrant, aPolicy)
      .map((route): Change => ({ kind: 'put-route', route })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom('HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute', 'ReferenceGrant', 'AuthorizationPolicy'),
        fc.constantFrom(...namespaces),
        fc.constantFrom(...routeNames, 'g', 'p0', 'p1'),
      )
      .map(([kind, namespace, name]): Change => ({ kind: 'remove-route', key: `${kind} ${namespace}/${name}` })),
  },
  { weight: 1, arbitrary: aGateway.map((gateway): Change => ({ kind: 'put-gateway', gateway })) },
  { weight: 1, arbitrary: fc.constantFrom(...gatewayKeys).map((key): Change => ({ kind: 'remove-gateway', key })) },
);

const scopeOf = (model: Model, key: string) => {
  const [namespace = '', name = ''] = key.split('/');
  return waypointScope(model, { namespace, name });
};
const plain = (resources: Resources) =>
  Object.fromEntries(typeNames.map((type) => [type, [...resources[type]].sort(([a], [b]) => (a < b ? -1 : 1))]));
const sorted = (table: ReadonlyMap<string, unknown>) => [...table].sort(([a], [b]) => (a < b ? -1 : 1));
const versions = (resources: Resources, encode = openWholeEncoder()) => {
  const snapshot = encode(resources);
  return typeNames.map((type) => sorted(new Map([...snapshot[type]].map(([name, { version }]) => [name, version]))));
};

/** The same objects as in the model, in another order of keys, and from nowhere. */
function afresh(model: Model): Model {
  const changes: Change[] = [
    ...[...model.routes.values()].map((route): Change => ({ kind: 'put-route', route })),
    ...[...model.workloads.values()].map((one): Change => ({ kind: 'put-workload', workload: one })),
    ...[...model.gateways.values()].map((gateway): Change => ({ kind: 'put-gateway', gateway })),
    ...[...model.services.values()].map((one): Change => ({ kind: 'put-service', service: one })),
  ];
  return finish(modelOf(changes.reverse()));
}

describe('one model after the other', () => {
  for (const requireGrants of [false, true]) {
    test(`is as if each came alone${requireGrants ? ', with grants' : ''}`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.array(aChange, { minLength: 1, maxLength: 4 }), { maxLength: 40, size: 'max' }),
          (batches) => {
            const attach = openAttacher({ requireGrants });
            const followed = gatewayKeys.map((key) => ({
              ...{ key, compiler: openWaypointCompiler(view), encode: openWholeEncoder() },
              before: undefined as Resources | undefined,
            }));
            let model = emptyModel;
            for (const [i, batch] of batches.entries()) {
              model = apply(model, batch).model;
              // Some models are never looked at, and some come from elsewhere.
              if (i % 4 === 2) continue;
              if (i % 7 === 6) model = afresh(model);
              const attachments = attach(model);
              const alone = attachRoutes(afresh(model), { requireGrants });
              expect(sorted(attachments.status)).toEqual(sorted(alone.status));
              for (const one of followed) {
                const scope = scopeOf(model, one.key);
                const made = one.compiler.compile(model, attachments, scope);
                const whole = openWaypointCompiler(view).compile(model, alone, scope);
                expect(plain(made)).toEqual(plain(whole));
                expect(versions(made, one.encode)).toEqual(versions(whole));
                for (const type of typeNames) {
                  for (const [name, value] of one.before?.[type] ?? []) {
                    const now = made[type].get(name);
                    if (now !== value) expect(equal(now, value)).toBe(false);
                  }
                }
                one.before = made;
              }
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  }
});
