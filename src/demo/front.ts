// SPDX-License-Identifier: Apache-2.0
// The demo's front: a service behind a waypoint, whose requests go by path, header and weight to the shop's other services.
import type { Target } from './protocol.ts';
import { after, newCatalog, podAt, type ShopCall, shopNamespace } from './shop.ts';

/** The network that the waypoint runs in. */
export const waypoint = podAt('waypoint', 40);
export const waypointName = 'waypoint';

/** What a release changes: weights of the catalog's versions. */
export interface FrontState {
  readonly v1: number;
  readonly v2: number;
}

export const beforeRelease: FrontState = { v1: 3, v2: 1 };
export const afterRelease: FrontState = { v1: 0, v2: 1 };
/** catalog-2 is not ready by then. */
export const oldCatalog = 'catalog-1';

/** Calls of one kind are of one family, so that both are used. */
export function frontCalls({ v1, v2 }: FrontState): readonly ShopCall[] {
  const v6 = { host: 'fd96::40' };
  const call = (target: Partial<Target>, weights: ShopCall['weights']): ShopCall => ({
    service: 'front',
    target: { protocol: 'http', host: '10.96.0.40', port: 80, ...target },
    weights,
  });
  // Least loaded first, weights notwithstanding: that is Envoy's choice among the pods of one service.
  const cart = { ...call({ path: '/cart/items', ...v6 }, after.cart), anyShare: true as const };
  return [
    call({ path: '/' }, { [oldCatalog]: v1, [newCatalog]: v2 }),
    call({ path: '/', ...v6 }, { [oldCatalog]: v1, [newCatalog]: v2 }),
    call({ path: '/', headers: { 'x-tester': 'yes' } }, { [newCatalog]: 1 }),
    cart,
    call({ path: '/admin' }, { 'status 403': 1 }),
  ];
}

const versionYaml = (version: string): string => `apiVersion: v1
kind: Service
metadata:
  name: catalog-${version}
  namespace: ${shopNamespace}
spec:
  clusterIP: None
  selector:
    app: catalog
    version: ${version}
  ports:
    - {name: http, port: 8080, targetPort: http, protocol: TCP}
`;

const gatewayYaml = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: ${waypointName}
  namespace: ${shopNamespace}
spec:
  gatewayClassName: kmesh-waypoint
  addresses:
    - {type: IPAddress, value: ${waypoint.address4}}
    - {type: IPAddress, value: "${waypoint.address6}"}
  listeners:
    - {name: mesh, port: 15088, protocol: istio.io/PROXY}
`;

const frontPodYaml = `apiVersion: v1
kind: Service
metadata:
  name: front
  namespace: ${shopNamespace}
  labels:
    istio.io/use-waypoint: ${waypointName}
spec:
  selector:
    app: catalog
  clusterIP: 10.96.0.40
  clusterIPs:
    - 10.96.0.40
    - fd96::40
  ipFamilies:
    - IPv4
    - IPv6
  ipFamilyPolicy: RequireDualStack
  ports:
    - {name: http, port: 80, targetPort: http, protocol: TCP, appProtocol: http}
`;

const routeYaml = ({ v1, v2 }: FrontState): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: front
  namespace: ${shopNamespace}
spec:
  parentRefs:
    - {group: "", kind: Service, name: front}
  rules:
    - matches:
        - path: {type: PathPrefix, value: /cart}
      backendRefs:
        - {group: networking.istio.io, kind: ServiceEntry, name: cart, port: 80}
    - matches:
        - headers: [{name: x-tester, value: "yes"}]
      backendRefs:
        - {name: catalog-v2, port: 8080}
    - backendRefs:
        - {name: catalog-v1, port: 8080, weight: ${v1}}
        - {name: catalog-v2, port: 8080, weight: ${v2}}
`;

const policyYaml = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: no-admin
  namespace: ${shopNamespace}
spec:
  targetRefs:
    - {group: "", kind: Service, name: front}
  action: DENY
  rules:
    - to:
        - operation:
            paths: ["/admin*"]
`;

/** What is added to the folder: file name -> YAML. */
export function frontYaml(state: FrontState): ReadonlyMap<string, string> {
  return new Map([
    ['front.yaml', [gatewayYaml, versionYaml('v1'), versionYaml('v2'), policyYaml, frontPodYaml].join('---\n')],
    ['front-route.yaml', routeYaml(state)],
  ]);
}
