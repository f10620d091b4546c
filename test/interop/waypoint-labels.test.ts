// SPDX-License-Identifier: Apache-2.0
// The same objects in files and in a real istiod: services and workloads go through the same waypoints, and as often through a canary.
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GatewayAddress } from '../../src/mesh/gateway.ts';
import { addressOf } from '../../src/net/address.ts';
import { built } from '../source/file/texts.ts';
import { type Istiod, startIstiod, withIstiod } from '../support/istiod.ts';
import { type KubeObject, namespace, pod, service, serviceEntry, workloadEntry } from '../support/kube.ts';
import type { Gateway } from '../support/served.ts';

const use = 'istio.io/use-waypoint';
const canary = 'istio.io/use-waypoint-canary';
const weight = 'istio.io/use-waypoint-canary-weight';

type Labels = Readonly<Record<string, string>>;
interface Said {
  readonly labels?: Labels;
  readonly annotations?: Labels;
}

const namespaces: Readonly<Record<string, Said>> = {
  plain: {},
  named: { labels: { [use]: 'way' } },
  elsewhere: { labels: { [use]: 'shared', [`${use}-namespace`]: 'infra' } },
  none: { labels: { [use]: 'none' } },
  workloads: { labels: { [use]: 'wl' } },
  both: { labels: { [use]: 'all' } },
  canary: { labels: { [use]: 'way', [canary]: 'next' }, annotations: { [weight]: '30' } },
  unweighted: { labels: { [use]: 'way', [canary]: 'next' } },
  lone: { labels: { [canary]: 'next' }, annotations: { [weight]: '30' } },
};

const wishes: readonly Said[] = [
  {},
  ...['way', 'none', 'all', 'wl', 'idle', 'host', 'missing'].map((name) => ({ labels: { [use]: name } })),
  ...['shared', 'private', 'chosen'].map((name) => ({ labels: { [use]: name, [`${use}-namespace`]: 'infra' } })),
  { labels: { [`${use}-namespace`]: 'infra' } },
  { labels: { [canary]: 'host' } },
  { labels: { [canary]: 'none' } },
  { labels: { [canary]: 'host' }, annotations: { [weight]: '60' } },
  { annotations: { [weight]: '60' } },
  { labels: { [use]: 'way', [canary]: 'host' }, annotations: { [weight]: '20' } },
  { labels: { [use]: 'way', [canary]: 'shared', [`${canary}-namespace`]: 'infra' }, annotations: { [weight]: '100' } },
  { labels: { [use]: 'way', [canary]: 'wl' }, annotations: { [weight]: '20' } },
  { labels: { [use]: 'none', [canary]: 'host' }, annotations: { [weight]: '20' } },
  { labels: { [use]: '' } },
  { labels: { [use]: 'shared', [`${use}-namespace`]: '' } },
  { labels: { [canary]: '' } },
  { labels: { [use]: 'way', [canary]: 'missing' }, annotations: { [weight]: '20' } },
  ...['101', 'some'].map((share) => ({ labels: { [use]: 'way', [canary]: 'host' }, annotations: { [weight]: share } })),
  { annotations: { [weight]: '-1' } },
];

let used = 0;
const address = (of: number): string => {
  used += 1;
  return `10.${of}.${used >> 8}.${used & 255}`;
};

function gateway(
  name: string,
  home: string,
  { at = address(7), ...more }: Said & { readonly at?: string; readonly allowed?: object } = {},
): KubeObject {
  const type = /^\d/.test(at) ? 'IPAddress' : 'Hostname';
  const { allowed, ...meta } = more;
  const allowedRoutes = allowed ? { allowedRoutes: { namespaces: allowed } } : {};
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace: home, ...meta },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE', ...allowedRoutes }],
    },
    status: { addresses: [{ type, value: at }] },
  } as KubeObject;
}

const takes = (of: string): Said => ({ labels: { 'istio.io/waypoint-for': of } });

function objectsOf(): KubeObject[] {
  const out: KubeObject[] = [
    namespace('istio-system', { labels: {} }),
    namespace('infra'),
    gateway('shared', 'infra', { allowed: { from: 'All' } }),
    gateway('private', 'infra'),
    gateway('chosen', 'infra', { allowed: { from: 'Selector', selector: { matchLabels: { team: 'named' } } } }),
  ];
  for (const [home, { labels, annotations }] of Object.entries(namespaces)) {
    out.push(
      namespace(home, { labels: { team: home, ...labels }, annotations: annotations ?? {} }),
      ...[gateway('way', home), gateway('next', home), gateway('all', home, takes('all'))],
      ...[gateway('wl', home, takes('workload')), gateway('idle', home, takes('none'))],
      gateway('host', home, { at: `host.${home}.svc.cluster.local` }),
    );
    for (const [i, said] of wishes.entries()) {
      const meta = { namespace: home, ...said };
      const name = `x${i}`;
      const labels = { app: name, ...said.labels };
      out.push(
        service(name, { ...meta, addresses: [address(96)] }),
        pod(`${name}-1`, { ...meta, labels, addresses: [address(1)] }),
        workloadEntry(`${name}-2`, address(2), { ...meta, labels }),
        serviceEntry(`${name}-3`, {
          ...{ ...meta, labels, hosts: [`${name}.${home}.test`], addresses: [address(97)] },
          endpoints: [{ address: address(3) }, { address: address(3), ...(said.labels && { labels: said.labels }) }],
        }),
      );
    }
  }
  return out;
}

/** Shares by where they go. A canary that gets nothing is none. */
function shares(parts: readonly (readonly [string, number])[]): string {
  const counted = parts.filter(([to, share]) => to !== '' && share > 0);
  return counted.map(([to, share]) => (counted.length === 1 ? to : `${to} ${share}`)).join(', ');
}

function placeIn({ destination: to }: GatewayAddress): string {
  if (to.kind === 'hostname') return `${to.namespace}/${to.hostname}`;
  return to.kind === 'address' ? to.address : '';
}

function placeServed({ hostname, address }: Gateway): string {
  if (hostname) return `${hostname.namespace}/${hostname.hostname}`;
  return addressOf(Buffer.from(address?.address ?? '', 'base64')) ?? '';
}

interface Asked<T> {
  readonly waypoint?: T;
  readonly weightedWaypoints?: readonly { readonly destination: T; readonly weight?: number }[];
}

function sharesOf<T>({ waypoint, weightedWaypoints: several = [] }: Asked<T>, place: (at: T) => string): string {
  if (several.length > 0) return shares(several.map(({ destination, weight = 0 }) => [place(destination), weight]));
  return waypoint ? place(waypoint) : '';
}

withIstiod('waypoints by labels', () => {
  let istiod: Istiod;
  const objects = objectsOf();
  beforeAll(async () => {
    istiod = await startIstiod({ objects });
  });
  afterAll(() => istiod?.close());

  test('files and istiod agree about every service and workload', async () => {
    const served = new Map<string, string>();
    for (const { name, resource } of (await istiod.served()).addresses) {
      const one = (resource.service ?? resource.workload) as Asked<Gateway>;
      served.set(name, sharesOf(one, placeServed));
    }
    const files = built(...objects.map((object) => JSON.stringify(object)));
    expect(files.report.faults).toEqual([]);
    const said = new Map<string, string>();
    for (const [key, one] of files.services) said.set(key, sharesOf(one, placeIn));
    for (const [uid, one] of files.workloads) said.set(uid, sharesOf(one, placeIn));
    expect(said.size).toBeGreaterThan(900);
    expect(Object.fromEntries([...said].sort())).toEqual(Object.fromEntries([...served].sort()));
  });
});
