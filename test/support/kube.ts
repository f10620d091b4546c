// SPDX-License-Identifier: Apache-2.0
// Kubernetes, Istio and Gateway API objects as tests put them into a cluster: the fields that matter, the rest as usual.

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly status?: unknown;
}

interface Meta {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const metadata = (name: string, { namespace = 'shop', labels, annotations }: Meta) => ({
  name,
  namespace,
  ...(labels ? { labels } : {}),
  ...(annotations ? { annotations } : {}),
});

export function namespace(name: string, meta: Omit<Meta, 'namespace'> = {}): KubeObject {
  const { labels = { 'istio.io/dataplane-mode': 'ambient' }, annotations = {} } = meta;
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, annotations } };
}

/** `locality`: "region/zone/subzone", from the front. */
export function clusterNode(name: string, locality = ''): KubeObject {
  const [region, zone, subzone] = locality.split('/');
  const labels = {
    ...(region ? { 'topology.kubernetes.io/region': region } : {}),
    ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}),
    ...(subzone ? { 'topology.istio.io/subzone': subzone } : {}),
  };
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
}

export interface ServiceOptions extends Meta {
  /** Empty: headless. */
  readonly addresses?: readonly string[];
  /** Label `app` of its pods; default its name. */
  readonly app?: string;
  /** Port -> target port, or its name. */
  readonly ports?: Readonly<Record<number, number | string>>;
  /** Other members of the spec. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const families = (addresses: readonly string[]) => addresses.map((a) => (a.includes(':') ? 'IPv6' : 'IPv4'));

export function service(name: string, options: ServiceOptions = {}): KubeObject {
  const { addresses = [], app = name, ports = { 80: 9000 }, more = {} } = options;
  const spec = {
    clusterIP: addresses[0] ?? 'None',
    clusterIPs: addresses.length > 0 ? addresses : ['None'],
    ipFamilies: addresses.length > 0 ? families(addresses) : ['IPv4'],
    selector: { app },
    ports: Object.entries(ports).map(([port, targetPort]) => ({
      name: `p${port}`,
      port: Number(port),
      targetPort,
      protocol: 'TCP',
    })),
    ...more,
  };
  return { apiVersion: 'v1', kind: 'Service', metadata: metadata(name, options), spec };
}

export interface PodOptions extends Meta {
  readonly addresses: readonly string[];
  /** Label `app`; default: the name without "-1". */
  readonly app?: string;
  readonly node?: string;
  readonly ready?: boolean;
  readonly hostNetwork?: boolean;
  /** Container ports by name. */
  readonly ports?: Readonly<Record<string, number>>;
}

export function pod(name: string, options: PodOptions): KubeObject {
  const { addresses, app = name.replace(/-\d+$/, ''), node = 'node-a', ready = true, hostNetwork = false } = options;
  const ports = Object.entries(options.ports ?? {}).map(([port, containerPort]) => ({
    name: port,
    containerPort,
    protocol: 'TCP',
  }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadata(name, { ...options, labels: { app, ...options.labels } }),
    spec: {
      nodeName: node,
      serviceAccountName: app,
      ...(hostNetwork ? { hostNetwork } : {}),
      containers: [{ name: 'main', image: 'example/main', ports }],
    },
    status: {
      phase: 'Running',
      podIP: addresses[0],
      podIPs: addresses.map((ip) => ({ ip })),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  };
}

export interface EntryOptions extends Meta {
  readonly hosts?: readonly string[];
  readonly addresses?: readonly string[];
  readonly resolution?: 'NONE' | 'STATIC' | 'DNS';
  readonly endpoints?: readonly Readonly<Record<string, unknown>>[];
  readonly targetPort?: number;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A ServiceEntry on port 80. Without labels of its own it would get every policy of its namespace. */
export function serviceEntry(name: string, options: EntryOptions = {}): KubeObject {
  const { hosts = [`${name}.example.com`], addresses = [], resolution = 'STATIC', endpoints, targetPort } = options;
  const spec = {
    hosts,
    addresses,
    location: 'MESH_INTERNAL',
    resolution,
    ports: [{ number: 80, name: 'tcp', protocol: 'TCP', ...(targetPort ? { targetPort } : {}) }],
    ...(endpoints ? { endpoints } : {}),
    ...options.more,
  };
  const meta = metadata(name, { labels: { entry: name }, ...options });
  return { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: meta, spec };
}

export function workloadEntry(name: string, address: string, options: Meta & { more?: object } = {}): KubeObject {
  const { labels = { app: name.replace(/-\d+$/, '') }, more = {} } = options;
  const spec = { address, labels, ...more };
  const meta = metadata(name, { ...options, labels });
  return { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: meta, spec };
}

/** An AuthorizationPolicy that lets nobody but one account in. */
export function policy(name: string, { account = 'client', app, ...meta }: Meta & { account?: string; app?: string }) {
  const spec = {
    ...(app === undefined ? {} : { selector: { matchLabels: { app } } }),
    action: 'ALLOW',
    rules: [{ from: [{ source: { principals: [`cluster.local/ns/shop/sa/${account}`] } }] }],
  };
  const object = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: metadata(name, meta),
    spec,
  };
  return object satisfies KubeObject as KubeObject;
}
