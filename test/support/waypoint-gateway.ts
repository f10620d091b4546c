// SPDX-License-Identifier: Apache-2.0
// The Gateway of waypoint shop/waypoint, for meshes that tests write as YAML.

/** A document and its end. */
export const waypointGateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---`;
