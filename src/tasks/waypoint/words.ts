// SPDX-License-Identifier: Apache-2.0
// Names that waypoints go by in Kubernetes: classes, labels, annotations, ports.

/** What a Gateway is a waypoint by, when nothing else says so: Istio's class, and the one that is configured by kmeshctl. */
export const istioClass = 'istio-waypoint';
export const ownClass = 'kmesh-waypoint';

export const useWaypointLabel = 'istio.io/use-waypoint';
export const useWaypointNamespaceLabel = 'istio.io/use-waypoint-namespace';
export const waypointForLabel = 'istio.io/waypoint-for';
export const revisionLabel = 'istio.io/rev';
export const dataplaneModeLabel = 'istio.io/dataplane-mode';
/** Annotation that istiod passes on to every node. */
export const inboundBindingAnnotation = 'ambient.istio.io/waypoint-inbound-binding';
/** Annotation for what Istio has no word for. */
export const ownBindingAnnotation = 'kmesh.net/waypoint-binding';
export const proxyImageAnnotation = 'sidecar.istio.io/proxyImage';

export const hbonePort = 15008;
