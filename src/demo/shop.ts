// SPDX-License-Identifier: Apache-2.0
// The demo's shop: six pods, three services, and the YAML that describes them.
import type { Address } from '../net/address.ts';
import type { Target } from './protocol.ts';

export const shopNamespace = 'shop';
export const httpPort = 8080;
export const udpPort = 5300;

export interface ShopPod {
  readonly name: string;
  readonly address4: Address;
  readonly address6: Address;
}

export const podAt = (name: string, n: number): ShopPod => ({ name, address4: `10.88.0.${n}`, address6: `fd88::${n}` });

/** frontend calls; the others answer. */
export const shopPods: readonly ShopPod[] = [
  podAt('frontend', 1),
  podAt('cart-1', 11),
  podAt('cart-2', 12),
  podAt('catalog-1', 21),
  podAt('catalog-2', 22),
  podAt('catalog-3', 23),
];
export const client = 'frontend';
const carts = ['cart-1', 'cart-2'];
const catalogs = ['catalog-1', 'catalog-2', 'catalog-3'];

/** What an edit changes. */
export interface ShopState {
  /** Weights of the cart's pods. */
  readonly cart: Readonly<Record<string, number>>;
  /** Catalog pods that are not ready. */
  readonly drained: readonly string[];
}

export const before: ShopState = { cart: { 'cart-1': 3, 'cart-2': 1 }, drained: [] };
export const after: ShopState = { cart: { 'cart-1': 1, 'cart-2': 3 }, drained: ['catalog-2'] };

/** A call the demo makes: where, and who should answer by which weight. */
export interface ShopCall {
  readonly service: string;
  readonly target: Target;
  readonly weights: Readonly<Record<string, number>>;
  /** Who answers counts, and not how often. */
  readonly anyShare?: true;
}

/** Every service address and who should answer there in a state. */
export function shopCalls(state: ShopState): readonly ShopCall[] {
  const catalog = Object.fromEntries(catalogs.map((name) => [name, state.drained.includes(name) ? 0 : 1]));
  const call = (
    service: string,
    protocol: Target['protocol'],
    host: Address,
    port: number,
    weights: Readonly<Record<string, number>>,
  ): ShopCall => ({ service, target: { protocol, host, port }, weights });
  return [
    call('cart', 'http', '10.96.0.10', 80, state.cart),
    call('cart', 'http', 'fd96::10', 80, state.cart),
    call('catalog', 'http', '10.96.0.20', 80, catalog),
    call('catalog', 'http', 'fd96::20', 80, catalog),
    call('prices', 'udp', '10.96.0.30', 53, catalog),
    call('prices', 'udp', 'fd96::30', 53, catalog),
  ];
}

const addressOf = (name: string): ShopPod => shopPods.find((p) => p.name === name) as ShopPod;

/** Of the catalog: what a release replaces, and by what. */
export const newCatalog = 'catalog-3';
const versionOf = (name: string): string => (name === newCatalog ? 'v2' : 'v1');

/** A Kubernetes Pod: the client, or one of the catalog. */
function podYaml(name: string, app: string, ready: boolean): string {
  const { address4, address6 } = addressOf(name);
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: ${shopNamespace}
  labels:
    app: ${app}
    version: ${versionOf(name)}
spec:
  nodeName: demo
  serviceAccountName: ${app}
  containers:
    - name: main
      image: demo
      ports:
        - {name: http, containerPort: ${httpPort}, protocol: TCP}
        - {name: price, containerPort: ${udpPort}, protocol: UDP}
status:
  phase: Running
  podIP: ${address4}
  podIPs:
    - ip: ${address4}
    - ip: ${address6}
  conditions:
    - type: Ready
      status: "${ready ? 'True' : 'False'}"
`;
}

/** Kubernetes Services over the catalog's pods, both families. */
function serviceYaml(name: string, n: number, port: string): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: ${shopNamespace}
spec:
  selector:
    app: catalog
  clusterIP: 10.96.0.${n}
  clusterIPs:
    - 10.96.0.${n}
    - fd96::${n}
  ipFamilies:
    - IPv4
    - IPv6
  ipFamilyPolicy: RequireDualStack
  ports:
    - ${port}
`;
}

/** An Istio ServiceEntry that selects WorkloadEntries, whose weights share out the calls. */
function cartYaml(weights: ShopState['cart']): string {
  const entry = (name: string) => `---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: ${name}
  namespace: ${shopNamespace}
  labels:
    app: cart
spec:
  address: ${addressOf(name).address4}
  weight: ${weights[name] ?? 0}
`;
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: cart
  namespace: ${shopNamespace}
spec:
  hosts:
    - cart.shop.internal
  addresses:
    - 10.96.0.10
    - fd96::10
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - number: 80
      name: http
      protocol: HTTP
      targetPort: ${httpPort}
  workloadSelector:
    labels:
      app: cart
${carts.map(entry).join('')}`;
}

/** The catalog takes turns. */
const rulesYaml = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: catalog
  namespace: ${shopNamespace}
spec:
  host: catalog.${shopNamespace}.svc.cluster.local
  trafficPolicy:
    loadBalancer:
      simple: ROUND_ROBIN
`;

/** The whole configuration folder: file name -> YAML. */
export function shopYaml(state: ShopState): ReadonlyMap<string, string> {
  const pods = catalogs.map((name) => podYaml(name, 'catalog', !state.drained.includes(name)));
  return new Map([
    ['namespace.yaml', `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${shopNamespace}\n`],
    ['frontend.yaml', podYaml(client, 'frontend', true)],
    ['cart.yaml', cartYaml(state.cart)],
    ['catalog-pods.yaml', pods.join('---\n')],
    [
      'catalog.yaml',
      [
        serviceYaml('catalog', 20, '{name: http, port: 80, targetPort: http, protocol: TCP}'),
        serviceYaml('prices', 30, '{name: price, port: 53, targetPort: price, protocol: UDP}'),
        rulesYaml,
      ].join('---\n'),
    ],
  ]);
}
