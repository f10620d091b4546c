// SPDX-License-Identifier: Apache-2.0
// Names that waypoints go by in Kubernetes: classes, labels, annotations, ports.

/** What a Gateway is a waypoint by, when nothing else says so: Istio's class, and the one that is configured by kmeshctl. */
export const WAYPOINT_CLASS = 'istio-waypoint';
export const OWN_CLASS = 'kmesh-waypoint';

export const USE_WAYPOINT = 'istio.io/use-waypoint';
export const USE_WAYPOINT_NAMESPACE = 'istio.io/use-waypoint-namespace';
export const WAYPOINT_FOR = 'istio.io/waypoint-for';
export const REVISION = 'istio.io/rev';
export const DATAPLANE_MODE = 'istio.io/dataplane-mode';
/** Annotation that istiod passes on to every node. */
export const INBOUND_BINDING = 'ambient.istio.io/waypoint-inbound-binding';
/** Annotation for what Istio has no word for. */
export const OWN_BINDING = 'kmesh.net/waypoint-binding';
export const PROXY_IMAGE = 'sidecar.istio.io/proxyImage';

export const HBONE_PORT = 15008;
