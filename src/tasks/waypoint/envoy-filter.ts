// SPDX-License-Identifier: Apache-2.0
// What lets a waypoint that istiod configures take connections with a PROXY protocol header, beside those over HBONE.
//
// The waypoint's own listener for HBONE ends the tunnel and hands each connection on to the internal listener "main_internal", with
// the original addresses and the identity of the client as filter state. This one reads the same three from the header.
import type { KubeObject } from '../../kube/object.ts';

/** TLV in which the client's SPIFFE id is sent, as ztunnel does. */
const identityTlv = 0xd0;

const type = (name: string): string => `type.googleapis.com/envoy.${name}`;

const state = (key: string, format: string, more: Readonly<Record<string, unknown>> = {}) => ({
  object_key: key,
  format_string: { text_format_source: { inline_string: format }, omit_empty_values: true },
  shared_with_upstream: 'ONCE',
  ...more,
});

/** A listener each: where a node has no IPv6, one for both would be refused. */
const wildcards = { ipv4: '0.0.0.0', ipv6: '::' };

function listener(family: keyof typeof wildcards, port: number): Readonly<Record<string, unknown>> {
  const filters = [
    {
      name: 'kmesh.original_addresses',
      typed_config: {
        '@type': type('extensions.filters.network.set_filter_state.v3.Config'),
        on_new_connection: [
          state('envoy.filters.listener.original_dst.local_ip', '%DOWNSTREAM_LOCAL_ADDRESS%'),
          state('envoy.filters.listener.original_dst.remote_ip', '%DOWNSTREAM_REMOTE_ADDRESS%'),
          state('io.istio.peer_principal', '%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:peer_principal)%', {
            factory_key: 'envoy.string',
            skip_if_empty: true,
          }),
        ],
      },
    },
    {
      name: 'envoy.filters.network.tcp_proxy',
      typed_config: {
        '@type': type('extensions.filters.network.tcp_proxy.v3.TcpProxy'),
        stat_prefix: 'kmesh_proxy_protocol',
        cluster: 'main_internal',
      },
    },
  ];
  return {
    name: `kmesh_proxy_protocol_${family}`,
    traffic_direction: 'INBOUND',
    address: { socket_address: { address: wildcards[family], port_value: port } },
    listener_filters: [
      {
        name: 'envoy.filters.listener.proxy_protocol',
        typed_config: {
          '@type': type('extensions.filters.listener.proxy_protocol.v3.ProxyProtocol'),
          rules: [{ tlv_type: identityTlv, on_tlv_present: { key: 'peer_principal' } }],
        },
      },
    ],
    filter_chains: [{ filters }],
  };
}

/** For the waypoint of this name, in its own namespace. */
export function makeEnvoyFilter(waypoint: string, namespace: string | undefined, port: number): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1alpha3',
    kind: 'EnvoyFilter',
    metadata: { name: `${waypoint}-proxy-protocol`, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      targetRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: waypoint }],
      configPatches: (['ipv4', 'ipv6'] as const).map((family) => ({
        applyTo: 'LISTENER',
        // Listeners of a waypoint count as inbound ones.
        match: { context: 'SIDECAR_INBOUND' },
        patch: { operation: 'ADD', value: listener(family, port) },
      })),
    },
  };
}
