// SPDX-License-Identifier: Apache-2.0
// The listener of "waypoint generate --envoyfilter" in a stock Envoy: what the listener of a waypoint that is behind it is told.
// (That one, "main_internal", is made here as istiod makes it, as far as addresses and identity go.)
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeEnvoyFilter } from '../../src/tasks/waypoint/envoy-filter.ts';
import { type Envoy, startEnvoy, withEnvoy } from '../support/envoy.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const typed = (name: string, kind: string, more = {}) => ({ name, typed_config: { '@type': type(kind), ...more } });

/** Answers each request with what the listener saw of the connection. */
const mainInternal = {
  name: 'main_internal',
  internal_listener: {},
  listener_filters: [typed('envoy.filters.listener.original_dst', 'filters.listener.original_dst.v3.OriginalDst')],
  filter_chains: [
    {
      filters: [
        typed('hcm', 'filters.network.http_connection_manager.v3.HttpConnectionManager', {
          stat_prefix: 'main_internal',
          http_filters: [typed('router', 'filters.http.router.v3.Router')],
          route_config: {
            virtual_hosts: [
              {
                name: 'all',
                domains: ['*'],
                response_headers_to_add: [
                  { header: { key: 'local', value: '%DOWNSTREAM_LOCAL_ADDRESS%' } },
                  { header: { key: 'remote', value: '%DOWNSTREAM_REMOTE_ADDRESS%' } },
                  { header: { key: 'principal', value: '%FILTER_STATE(io.istio.peer_principal:PLAIN)%' } },
                ],
                routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
              },
            ],
          },
        }),
      ],
    },
  ],
};

const cluster = {
  name: 'main_internal',
  type: 'STATIC',
  load_assignment: {
    cluster_name: 'main_internal',
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: { envoy_internal_address: { server_listener_name: 'main_internal' } } } },
        ],
      },
    ],
  },
  transport_socket: typed('internal_upstream', 'transport_sockets.internal_upstream.v3.InternalUpstreamTransport', {
    transport_socket: typed('raw_buffer', 'transport_sockets.raw_buffer.v3.RawBuffer'),
  }),
};

const listeners = () => {
  const { configPatches } = makeEnvoyFilter('waypoint', 'shop', 0).spec as {
    configPatches: readonly { readonly patch: { readonly value: unknown } }[];
  };
  return configPatches.map(({ patch }) => patch.value);
};

const address4 = (text: string): number[] => text.split('.').map(Number);
const port16 = (port: number): number[] => [port >> 8, port & 0xff];
const identity = 'spiffe://cluster.local/ns/shop/sa/frontend';

/** PROXY protocol v2: TCP over IPv4 or IPv6, and the TLV of the client's identity. */
function header(addresses: readonly number[], withIdentity: boolean): Buffer {
  const tlv = withIdentity ? [0xd0, ...port16(identity.length), ...Buffer.from(identity)] : [];
  const family = addresses.length === 12 ? 0x11 : 0x21;
  const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
  return Buffer.from([...signature, 0x21, family, ...port16(addresses.length + tlv.length), ...addresses, ...tlv]);
}
const over4 = [...address4('10.1.0.7'), ...address4('10.96.0.10'), ...port16(40000), ...port16(80)];
const address6 = (last: number): number[] => [0xfd, ...Array<number>(14).fill(0), last];
const over6 = [...address6(7), ...address6(10), ...port16(40000), ...port16(80)];

withEnvoy('EnvoyFilter', () => {
  let envoy: Envoy;
  beforeAll(async () => {
    envoy = await startEnvoy({
      bootstrap_extensions: [typed('internal', 'bootstrap.internal_listener.v3.InternalListener')],
      static_resources: { listeners: [...listeners(), mainInternal], clusters: [cluster] },
    });
  });
  afterAll(() => envoy?.close());

  /** All that comes back for these first bytes and a request. */
  const call = async (first: Buffer, family: 'ipv4' | 'ipv6' = 'ipv4') => {
    const port = await envoy.port(`kmesh_proxy_protocol_${family}`);
    return new Promise<string>((done) => {
      let text = '';
      const socket = connect(port, family === 'ipv4' ? '127.0.0.1' : '::1', () => {
        socket.write(Buffer.concat([first, Buffer.from('GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n')]));
      });
      socket.on('data', (part) => {
        text += part;
      });
      socket.on('error', () => {});
      socket.on('close', () => done(text));
    });
  };

  test('the service is the local address, the client the remote one, its identity the principal', async () => {
    const answer = await call(header(over4, true));
    expect(answer).toContain('local: 10.96.0.10:80\r\n');
    expect(answer).toContain('remote: 10.1.0.7:40000\r\n');
    expect(answer).toContain(`principal: ${identity}\r\n`);
  });

  test('the same for IPv6', async () => {
    const answer = await call(header(over6, true), 'ipv6');
    expect(answer).toContain('local: [fd00::a]:80\r\n');
    expect(answer).toContain('remote: [fd00::7]:40000\r\n');
  });

  test('who sends no identity has none', async () => {
    const answer = await call(header(over4, false));
    expect(answer).toContain('local: 10.96.0.10:80\r\n');
    expect(answer).not.toContain('spiffe:');
  });

  test('a connection without a header is closed', async () => {
    expect(await call(Buffer.alloc(0))).toBe('');
  });
});
