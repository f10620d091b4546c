// SPDX-License-Identifier: Apache-2.0
// Flags that the waypoint commands share.
import { choice, durationOr, text, textOr, toggle, unlessEmpty } from './param.ts';

export const namespaceFlag = { namespace: unlessEmpty(text('NS', 'namespace of the waypoint', { short: 'n' })) };

/** For commands that talk to a cluster. */
export const clusterFlags = {
  namespace: unlessEmpty(text('NS', 'namespace of the waypoint (default: that of the context)', { short: 'n' })),
  kubeconfig: text(
    'FILE',
    'kubeconfig (default: the files of KUBECONFIG, then ~/.kube/config, then the pod it runs in)',
    { short: 'c', complete: 'file' },
  ),
  context: text('NAME', 'context of the kubeconfig (default: its current one)'),
};

export const allNamespacesFlag = { allNamespaces: toggle('waypoints of all namespaces', { short: 'A' }) };

/** What makes a Gateway a waypoint as it should be. */
export const gatewayFlags = {
  name: unlessEmpty(textOr('waypoint', 'NAME', 'name of the waypoint')),
  for: unlessEmpty(
    choice(
      ['service', 'workload', 'all', 'none'],
      'TYPE',
      'which traffic it is for: to services, to workloads by their own addresses (default: as its class says, else service)',
    ),
  ),
  revision: unlessEmpty(text('REV', 'revision of the control plane that it belongs to', { short: 'r' })),
  class: textOr(
    'istio-waypoint',
    'CLASS',
    'its GatewayClass; istiod configures istio-waypoint, kmeshctl kmesh-waypoint',
    {
      suggestions: ['istio-waypoint', 'kmesh-waypoint'],
    },
  ),
  protocol: text(
    'PROTOCOL[/PORT]',
    'header in which it is told of the original destination (default: as nodes assume, proxy/15088)',
    {
      suggestions: ['proxy', 'kmesh', 'none'],
    },
  ),
  image: text('IMAGE', 'image of the proxy, in place of the one that istiod chooses'),
};

export const waitFlags = {
  wait: toggle('until it is programmed, telling what it waits for', { short: 'w' }),
  timeout: durationOr('90s', 'DURATION', 'how long to wait', { also: 'waypointTimeout' }),
};
