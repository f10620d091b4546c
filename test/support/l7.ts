// SPDX-License-Identifier: Apache-2.0
// A waypoint's Envoy on loopback, told by our control plane from YAML; backends that say what reached them, and clients that speak PROXY protocol.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { modelOf } from '../../src/mesh/apply.ts';
import { finish } from '../../src/mesh/steps.ts';
import { openBuilder } from '../../src/source/file/build/builder.ts';
import { openFolder } from '../../src/source/file/folder.ts';
import { readFileText } from '../../src/source/file/read.ts';
import { renderFinding } from '../../src/source/findings.ts';
import { listenKey, openWaypointServer, type WaypointServer } from '../../src/waypoint/server.ts';
import { project } from './project.ts';

export const envoyPath = join(project, '.cache/envoy/envoy');
export const hasEnvoy = existsSync(envoyPath);

/** What a backend saw of a request. */
export interface Seen {
  readonly backend: string;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Backend {
  readonly name: string;
  readonly port: number;
  readonly seen: Seen[];
  close(): Promise<void>;
}

type Answer = (seen: Seen, count: number) => { readonly status?: number; readonly afterMs?: number };

/** Answers with what it saw. */
export async function openBackend(name: string, answer: Answer = () => ({}), host = '127.0.0.1'): Promise<Backend> {
  const seen: Seen[] = [];
  // Connections that nobody uses stay: a request that met the end of one would fail.
  const server: Server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    request.resume();
    const one = { backend: name, method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    seen.push(one);
    const { status = 200, afterMs = 0 } = answer(one, seen.length);
    setTimeout(() => {
      response.writeHead(status, { 'content-type': 'application/json', 'x-backend': name });
      response.end(JSON.stringify(one));
    }, afterMs);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    name,
    port: (server.address() as AddressInfo).port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createTcpServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** The model of documents that have no fault. */
export function modelOfYaml(text: string) {
  const folder = openFolder();
  folder.order(['mesh.yaml']);
  const builder = openBuilder();
  const changes = builder.update(folder.update(new Map([['mesh.yaml', readFileText('mesh.yaml', text)]])));
  const { faults } = folder.report(builder.warnings());
  if (faults.length > 0) throw new Error(faults.map(renderFinding).join('\n'));
  return finish(modelOf(changes));
}

/** Header of PROXY protocol version 2 over IPv4, with the source's identity. */
export function proxyHeader(
  to: string,
  port: number,
  identity = 'spiffe://cluster.local/ns/shop/sa/client',
  from = '10.2.0.9',
) {
  const tlv = Buffer.from(identity);
  const body = Buffer.alloc(12 + 3 + tlv.length);
  from.split('.').forEach((part, i) => void body.writeUInt8(Number(part), i));
  to.split('.').forEach((part, i) => void body.writeUInt8(Number(part), 4 + i));
  body.writeUInt16BE(40_000, 8);
  body.writeUInt16BE(port, 10);
  body.writeUInt8(0xd0, 12);
  body.writeUInt16BE(tlv.length, 13);
  tlv.copy(body, 15);
  const head = Buffer.from([
    ...Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
    0x21,
    0x11,
    body.length >> 8,
    body.length & 255,
  ]);
  return Buffer.concat([head, body]);
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What the backend saw; undefined when none was reached. */
  readonly seen: Seen | undefined;
}

export interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly to?: string;
  readonly port?: number;
  readonly identity?: string;
  readonly from?: string;
}

/** An Envoy that is the waypoint shop/waypoint, with a listener on loopback. */
export interface WaypointProxy {
  readonly listenPort: number;
  readonly admin: number;
  /** Sends bytes behind the header, until the other side closes or nothing is awaited any more. */
  connect(ask: Ask): Socket;
  request(ask?: Ask): Promise<Reply>;
  /** Resolves once `check` says so. */
  until(check: () => Promise<boolean> | boolean, what: string): Promise<void>;
  log(): string;
  close(): Promise<void>;
}

export interface Lab extends WaypointProxy {
  readonly control: WaypointServer;
  tell(yaml: string): void;
}

const view = { node: 'n', network: '', clusterId: 'Kubernetes', locality: { region: '', zone: '', subzone: '' } };

export async function openLab(
  yaml: string,
  api: 'DELTA_GRPC' | 'GRPC' = 'DELTA_GRPC',
  more: Pick<BootstrapOptions, 'smallRegex'> = {},
): Promise<Lab> {
  const lines: string[] = [];
  const log = { info: () => {}, warn: (facts: object) => void lines.push(JSON.stringify(facts)) };
  const control = openWaypointServer({ view, log });
  control.update(modelOfYaml(yaml));
  const [host, port] = (await control.listen('127.0.0.1:0')).split(':') as [string, string];
  const proxy = await openProxy({ ads: { host, port: Number(port) }, api, ...more }, lines).catch((error) => {
    control.close();
    throw error;
  });
  return {
    ...proxy,
    control,
    tell: (text) => control.update(modelOfYaml(text)),
    async close() {
      await proxy.close();
      control.close();
    },
  };
}

/** Listens when this resolves. `lines`: more to show when something goes wrong. */
export async function openProxy(
  options: Pick<BootstrapOptions, 'ads' | 'api' | 'tls' | 'smallRegex'>,
  lines: readonly string[] = [],
): Promise<WaypointProxy> {
  const [listenPort, admin] = [await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), 'kmesh-l7-'));
  const config = join(folder, 'envoy.json');
  writeFileSync(config, JSON.stringify(bootstrap({ listenPort, admin, ...options })));
  const logFile = join(folder, 'envoy.log');
  const args = ['-c', config, '--disable-hot-restart', '--concurrency', '1', '-l', 'info', '--log-path', logFile];
  const envoy: ChildProcess = spawn(envoyPath, args, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => envoy.once('exit', () => resolve()));
  const envoyLog = () => `${lines.join('\n')}\n${existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''}`;

  const proxy: WaypointProxy = {
    listenPort,
    admin,
    connect({ to = '10.96.0.1', port = 80, identity, from }) {
      const socket = connect(listenPort, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(proxyHeader(to, port, identity, from));
      return socket;
    },
    request: (ask = {}) =>
      new Promise((resolve) => {
        const socket = proxy.connect(ask);
        const { path = '/', method = 'GET', host = 'cart', headers = {} } = ask;
        const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.write(`${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n${extra.join('')}\r\n`);
        const chunks: Buffer[] = [];
        socket.on('data', (data: Buffer) => {
          chunks.push(data);
          // Envoy closes a second after what it answers itself.
          if (isWhole(Buffer.concat(chunks).toString())) socket.end();
        });
        // One that is reset has status 0.
        socket.on('close', () => resolve(parseReply(Buffer.concat(chunks).toString())));
      }),
    async until(check, what) {
      const end = Date.now() + 20_000;
      while (!(await check())) {
        if (Date.now() > end) throw new Error(`not ${what}:\n${envoyLog().slice(-6000)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    log: envoyLog,
    async close() {
      envoy.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await proxy.until(
      () =>
        new Promise<boolean>((resolve) => {
          const socket = connect(listenPort, '127.0.0.1');
          socket.on('connect', () => {
            socket.destroy();
            resolve(true);
          });
          socket.on('error', () => resolve(false));
        }),
      'listening',
    );
  } catch (error) {
    await proxy.close();
    throw error;
  }
  return proxy;
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return false;
  const length = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length);
}

function parseReply(text: string): Reply {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [first = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [name = '', value = ''] = line.split(/: ?(.*)/s);
    headers[name.toLowerCase()] =
      headers[name.toLowerCase()] === undefined ? value : `${headers[name.toLowerCase()]},${value}`;
  }
  const body = rest.join('\r\n\r\n');
  const json = /\{.*\}/s.exec(body)?.[0];
  const reached = headers['x-backend'] !== undefined && json !== undefined;
  return {
    status: Number(first.split(' ')[1] ?? 0),
    headers,
    body,
    seen: reached ? (JSON.parse(json as string) as Seen) : undefined,
  };
}

interface BootstrapOptions {
  /** On loopback; default: as the waypoint's binding says, on all addresses. */
  readonly listenPort?: number;
  readonly admin: number;
  readonly ads: { readonly host: string; readonly port: number } | { readonly path: string };
  /** Files: of whom the server's certificate is signed by, and one of its own. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  readonly api?: 'DELTA_GRPC' | 'GRPC';
  /** Large regular expressions are refused: a way to have Envoy refuse what others would take. */
  readonly smallRegex?: boolean;
}

const largeRegex = 'envoy.deprecated_features:envoy.type.matcher.v3.RegexMatcher.google_re2';
/** Where `smallRegex` is said. */
export const refusedRegex = '(?:abcdef){400}';

/** Of an Envoy that is the waypoint shop/waypoint. */
export function bootstrap(options: BootstrapOptions) {
  const { listenPort, admin, ads: plane, api = 'DELTA_GRPC', tls, smallRegex = false } = options;
  const socket = (address: string, port: number) => ({ socket_address: { address, port_value: port } });
  const ads = { resource_api_version: 'V3', ads: {} };
  return {
    admin: { address: socket('127.0.0.1', admin) },
    ...(smallRegex && { layered_runtime: { layers: [{ name: 'test', static_layer: { [largeRegex]: false } }] } }),
    node: {
      id: 'envoy-1',
      cluster: 'shop/waypoint',
      ...(listenPort !== undefined && { metadata: { [listenKey]: `127.0.0.1:${listenPort}` } }),
    },
    dynamic_resources: {
      ads_config: {
        api_type: api,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'ads' } }],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'ads',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'ads',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: 'path' in plane ? { pipe: plane } : socket(plane.host, plane.port) } },
                ],
              },
            ],
          },
          ...(tls && { transport_socket: tlsSocket(tls) }),
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
}

function tlsSocket({ ca, cert, key }: NonNullable<BootstrapOptions['tls']>) {
  const own = cert &&
    key && { tls_certificates: [{ certificate_chain: { filename: cert }, private_key: { filename: key } }] };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      common_tls_context: { alpn_protocols: ['h2'], validation_context: { trusted_ca: { filename: ca } }, ...own },
    },
  };
}
