// SPDX-License-Identifier: Apache-2.0
// What a waypoint's Envoy is started with, where it listens, and what its admin interface says.
import { expect, test } from 'vitest';
import type { GatewayDestination } from '../../../src/mesh/gateway.ts';
import { parseListenAddress } from '../../../src/net/socket-address.ts';
import { bootstrapOf, checkArgs, proxyArgs } from '../../../src/tasks/waypoint/run-bootstrap.ts';
import { listenerAddress, listenerFault, openConnections } from '../../../src/tasks/waypoint/run-life.ts';
import {
  addressesIn,
  type KnownGateway,
  listenOf,
  reachableAt,
  requireUsable,
} from '../../../src/tasks/waypoint/run-where.ts';

const locality = { region: 'eu', zone: 'eu-1', subzone: 'rack-1' };
const bootstrap = { waypoint: 'shop/way', node: 'n1', locality, listen: '10.0.0.4:15088' };
const args = { bootstrap, concurrency: 2, proxyLogLevel: 'warning', drain: 5000, more: [] } as const;

test('the bootstrap says which waypoint it is, and reaches everything by unix sockets', () => {
  const made = bootstrapOf(bootstrap);
  expect(made).toMatchObject({
    node: {
      id: 'shop/way@n1',
      cluster: 'shop/way',
      metadata: { 'kmesh.net/listen': '10.0.0.4:15088', 'kmesh.net/node': 'n1' },
      locality: { region: 'eu', zone: 'eu-1', sub_zone: 'rack-1' },
    },
    admin: { address: { pipe: { path: 'admin.sock', mode: 0o600 } } },
    dynamic_resources: { ads_config: { api_type: 'DELTA_GRPC' } },
    deferred_stat_options: { enable_deferred_creation_stats: true },
    stats_config: { stats_matcher: { exclusion_list: { patterns: [{ prefix: 'http.waypoint.rds.' }] } } },
  });
  expect(JSON.stringify(made)).toContain('{"pipe":{"path":"ads.sock"}}');
  expect(JSON.stringify(made)).not.toContain('socket_address');
});

test('connections of clients have a limit, so that Envoy does not warn of having none', () => {
  const { overload_manager: limits } = bootstrapOf(bootstrap) as {
    overload_manager: { resource_monitors: { name: string; typed_config: object }[] };
  };
  expect(limits.resource_monitors).toMatchObject([
    {
      name: 'envoy.resource_monitors.global_downstream_max_connections',
      typed_config: { max_active_downstream_connections: 1_000_000 },
    },
  ]);
});

test('arguments: ours, then those that are passed on', () => {
  const [first, json, ...rest] = proxyArgs({ ...args, more: ['--component-log-level', 'rbac:debug'] });
  expect(first).toBe('--config-yaml');
  expect(JSON.parse(json ?? '')).toEqual(bootstrapOf(bootstrap));
  expect(rest.join(' ')).toBe(
    '--disable-hot-restart --concurrency 2 -l warning --ignore-unknown-dynamic-fields --drain-strategy immediate --drain-time-s 5 --component-log-level rbac:debug',
  );
  expect(proxyArgs({ ...args, concurrency: 0 })).not.toContain('--concurrency');
  const twice = proxyArgs({ ...args, more: ['--ignore-unknown-dynamic-fields'] });
  expect(twice.filter((word) => word === '--ignore-unknown-dynamic-fields')).toHaveLength(1);
  expect(proxyArgs({ ...args, drain: 0 }).join(' ')).toContain('--drain-time-s 1');
  for (const word of ['-c', '--config-path=x', '--config-yaml', '--mode'])
    expect(() => checkArgs([word]), word).toThrow(/cannot be passed on/);
});

const at = (...addresses: string[]): KnownGateway => ({
  addresses: addresses.map((address): GatewayDestination => ({ kind: 'address', network: '', address })),
});
const named: KnownGateway = { addresses: [{ kind: 'hostname', namespace: 'shop', hostname: 'way.example' }] };
const own = ['127.0.0.1', '::1', 'fe80::1', '10.0.0.4', 'fd00::4'];

test.each<[string, KnownGateway | undefined, string | undefined, string]>([
  ["the Gateway's address that is here", at('10.9.9.9', '10.0.0.4'), undefined, '10.0.0.4:15088'],
  ['several: all', at('10.0.0.4', 'fd00::4'), undefined, '[::]:15088'],
  ['IPv6', at('fd00::4'), undefined, '[fd00::4]:15088'],
  ['a host name: all', named, undefined, '[::]:15088'],
  ['port of the binding', { ...at('10.0.0.4'), binding: { header: 'proxy', port: 81 } }, undefined, '10.0.0.4:81'],
  ['by hand', at('10.9.9.9'), '10.0.0.1:9', '10.0.0.1:9'],
  ['by hand, a port alone', undefined, ':9', '[::]:9'],
])('listens: %s', (_, gateway, given, text) => {
  expect(listenOf('shop/way', gateway, own, given === undefined ? undefined : parseListenAddress(given)).text).toBe(
    text,
  );
});

test.each<[KnownGateway, string | undefined, string]>([
  [at('10.9.9.9'), undefined, 'KM_LISTEN'],
  [at(), undefined, 'KM_CONFIG'],
  [at('10.0.0.4'), 'localhost:1', 'KM_USAGE'],
])('nowhere to listen', (gateway, given, code) => {
  const listen = given === undefined ? undefined : parseListenAddress(given);
  expect(() => listenOf('shop/way', gateway, own, listen)).toThrow(expect.objectContaining({ code }));
});

test('a Gateway that nobody knows, or that Envoy cannot serve', () => {
  const refused = (gateway: KnownGateway | undefined, names: readonly string[] = [], listen?: string) => {
    try {
      requireUsable('shop/way', { gateway, names }, listen === undefined ? undefined : parseListenAddress(listen));
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  };
  expect(refused(undefined)).toContain('no Gateway "shop/way" is known here (no Gateway is)');
  const many = Array.from({ length: 10 }, (_, i) => `a/${i}`);
  expect(refused(undefined, many)).toMatch(/known: a\/0, .*a\/7 and 2 more/);
  expect(refused(undefined, [], ':15088')).toBeUndefined();
  expect(refused({ ...at(), binding: { header: 'none', port: 0 } })).toContain('is NONE');
  expect(refused({ ...at(), binding: { header: 'kmesh', port: 15019 } }, [], ':1')).toContain('is KMESH');
  expect(refused(at())).toBeUndefined();
});

test('where others find it', () => {
  expect(reachableAt('10.0.0.4', undefined, own)).toEqual(['10.0.0.4']);
  expect(reachableAt('::', at('10.0.0.4', '10.9.9.9'), own)).toEqual(['10.0.0.4']);
  expect(reachableAt('::', named, own)).toEqual(['10.0.0.4', 'fd00::4']);
});

test('what the admin interface says', () => {
  const status = (name: string, address: string) => ({
    name,
    local_address: { socket_address: { address, port_value: 15088 } },
  });
  const listeners = { listener_statuses: [status('other', '1.1.1.1'), status('waypoint', '::')] };
  expect(listenerAddress(JSON.stringify(listeners))).toBe('[::]:15088');
  expect(listenerAddress('{}')).toBeUndefined();
  const dump = { configs: [{ name: 'waypoint', error_state: { details: 'cannot bind' } }] };
  expect(listenerFault(JSON.stringify(dump))).toBe('cannot bind');
  expect(listenerFault('{}')).toBeUndefined();
  const stats = [
    'listener.admin.downstream_cx_active: 1',
    'listener.waypoint.downstream_cx_active: 2',
    'listener.waypoint.downstream_pre_cx_active: 1',
    'listener.waypoint.worker_0.downstream_cx_active: 2',
    'http.x.downstream_cx_active: 9',
  ];
  expect(openConnections(stats.join('\n'))).toBe(3);
});

test('a network that is not there: the hint says where names come from', () => {
  expect(() => addressesIn('/run/netns/kmesh-none')).toThrow(
    expect.objectContaining({ code: 'KM_NETNS', hint: expect.stringContaining('ip netns list') }),
  );
});
