// SPDX-License-Identifier: Apache-2.0
// Flags before variables before ISTIO_META_* before defaults, and each value that makes no sense named.
import { expect, test } from 'vitest';
import { type Environ, nodeIdentity } from '../../../src/source/xds/node.ts';
import { readXdsSettings, serverText, type XdsFlags } from '../../../src/source/xds/settings.ts';

const given = { hostname: 'host-1', hasConfig: false };
function read(flags: XdsFlags = {}, environ: Environ = {}) {
  const settings = readXdsSettings(flags, environ, given);
  if (!settings) throw new Error('no settings');
  return settings;
}

test('nothing given', () => {
  expect(read()).toEqual({
    server: {
      host: 'istiod.istio-system.svc',
      port: 15012,
      tls: { rootFile: '/var/run/secrets/istio/root-cert.pem' },
      tokenFile: '/var/run/secrets/tokens/istio-token',
      headers: [],
    },
    node: {
      nodeName: 'host-1',
      podName: 'kmesh-host-1',
      podNamespace: 'istio-system',
      instanceIps: ['1.1.1.1'],
      clusterId: 'Kubernetes',
      network: '',
      metadata: {},
    },
    onDemand: false,
  });
});

test.each<[string, XdsFlags, Environ, boolean, string | undefined]>([
  ['files alone', {}, {}, true, undefined],
  ['files, and a control plane by flag', { xds: 'a:1' }, {}, true, 'a:1'],
  ['files, and a control plane by variable', {}, { XDS_ADDRESS: 'a:1' }, true, 'a:1'],
  ['files, and the variable empty', {}, { XDS_ADDRESS: '' }, true, undefined],
  ['the flag before the variable', { xds: 'a:1' }, { XDS_ADDRESS: 'b:2' }, false, 'a:1'],
  ['nothing at all', {}, {}, false, 'istiod.istio-system.svc:15012'],
])('which control plane: %s', (_name, flags, environ, hasConfig, server) => {
  const settings = readXdsSettings(flags, environ, { hostname: 'h', hasConfig });
  expect(settings && serverText(settings.server)).toBe(server);
});

test.each([
  ['istiod:15012', 'istiod', 15012, true],
  ['https://istiod.example:443', 'istiod.example', 443, true],
  ['http://istiod:15010/', 'istiod', 15010, false],
  ['10.0.0.1:15012', '10.0.0.1', 15012, true],
  ['[2001:DB8::1]:15012', '2001:db8::1', 15012, true],
])('address %s', (xds, host, port, secure) => {
  const { server } = read({ xds });
  expect([server.host, server.port, server.tls !== undefined]).toEqual([host, port, secure]);
});

test('an IPv6 address is shown in brackets', () => {
  expect(serverText(read({ xds: '[::1]:1' }).server)).toBe('[::1]:1');
});

const full: Environ = {
  XDS_ROOT_CA: '/env/root',
  AUTH_TOKEN: '/env/token',
  ALT_XDS_HOSTNAME: 'env-name',
  XDS_ON_DEMAND: 'true',
  NODE_NAME: 'env-node',
  POD_NAME: 'env-pod',
  POD_NAMESPACE: 'env-ns',
  INSTANCE_IP: '10.0.0.2, 2001:DB8::2',
  CLUSTER_ID: 'env-cluster',
  NETWORK: 'env-network',
};
const meta: Environ = {
  ISTIO_META_NODE_NAME: 'meta-node',
  ISTIO_META_NAME: 'meta-pod',
  ISTIO_META_NAMESPACE: 'meta-ns',
  ISTIO_META_INSTANCE_IPS: '10.0.0.3',
  ISTIO_META_CLUSTER_ID: 'meta-cluster',
  ISTIO_META_NETWORK: 'meta-network',
};
const flags: XdsFlags = {
  xds: 'a:1',
  xdsRootCert: '/flag/root',
  xdsToken: '/flag/token',
  xdsServerName: 'flag-name',
  xdsOnDemand: false,
  node: 'flag-node',
  pod: 'flag-ns/flag-pod',
  instanceIp: '10.0.0.1',
  clusterId: 'flag-cluster',
  network: 'flag-network',
};
const nodeOf = (from: string, instanceIps: string[]) => ({
  nodeName: `${from}-node`,
  podName: `${from}-pod`,
  podNamespace: `${from}-ns`,
  instanceIps,
  clusterId: `${from}-cluster`,
  network: `${from}-network`,
});

test('flags before variables', () => {
  expect(read(flags, { ...full, ...meta })).toMatchObject({
    server: { tls: { rootFile: '/flag/root', serverName: 'flag-name' }, tokenFile: '/flag/token' },
    node: nodeOf('flag', ['10.0.0.1']),
    onDemand: false,
  });
});

test('variables before metadata', () => {
  expect(read({}, { ...full, ...meta })).toMatchObject({
    server: { tls: { rootFile: '/env/root', serverName: 'env-name' }, tokenFile: '/env/token' },
    node: nodeOf('env', ['10.0.0.2', '2001:db8::2']),
    onDemand: true,
  });
});

test('metadata before defaults; what is empty says nothing', () => {
  const empty = Object.fromEntries(Object.keys(full).map((name) => [name, '']));
  expect(read({ node: '', clusterId: '' }, { ...empty, ...meta }).node).toMatchObject(nodeOf('meta', ['10.0.0.3']));
});

test('plaintext sends a token only when the command line says so', () => {
  expect(read({ xds: 'a:1', xdsPlaintext: true }, full).server).toEqual({ host: 'a', port: 1, headers: [] });
  expect(read({ xds: 'http://a:1', xdsToken: '/t' }, full).server.tokenFile).toBe('/t');
});

test('an empty AUTH_TOKEN: none is sent', () => {
  expect(read({}, { AUTH_TOKEN: '' }).server.tokenFile).toBeUndefined();
});

test('headers', () => {
  const environ = { XDS_HEADER_X_TENANT: 'blue', 'XDS_HEADER_x-other': '', HEADER: 'no' };
  expect(read({}, environ).server.headers).toEqual([
    ['x_tenant', 'blue'],
    ['x-other', ''],
  ]);
});

test('what the control plane learns of the node', () => {
  const environ = {
    ...meta,
    ISTIO_META_MESH_ID: 'm1',
    ISTIO_METAJSON_LABELS: '{"app":"x","n":[1,null]}',
    ISTIO_META_LABELS: 'text',
    ISTIO_META_: 'nothing',
    POD_NAME: 'ztunnel-1',
  };
  expect(nodeIdentity(read({}, environ).node)).toEqual({
    id: 'ztunnel~10.0.0.3~ztunnel-1.meta-ns~meta-ns.svc.cluster.local',
    metadata: {
      NAME: 'ztunnel-1',
      NAMESPACE: 'meta-ns',
      INSTANCE_IPS: '10.0.0.3',
      NODE_NAME: 'meta-node',
      CLUSTER_ID: 'meta-cluster',
      NETWORK: 'meta-network',
      MESH_ID: 'm1',
      LABELS: { app: 'x', n: [1, null] },
    },
  });
});

const address = 'must be HOST:PORT with a port from 1 to 65535, an IPv6 address in brackets';
test.each<[XdsFlags, Environ, string]>([
  [{ xds: 'istiod' }, {}, `--xds "istiod" ${address}`],
  [{ xds: '' }, {}, `--xds "" ${address}`],
  [{ xds: ':15012' }, {}, `--xds ":15012" ${address}`],
  [{ xds: 'a:0' }, {}, `--xds "a:0" ${address}`],
  [{ xds: 'a:65536' }, {}, `--xds "a:65536" ${address}`],
  [{ xds: '::1:15012' }, {}, `--xds "::1:15012" ${address}`],
  [{ xds: '[10.0.0.1]:15012' }, {}, `--xds "[10.0.0.1]:15012" ${address}`],
  [{ xds: '10.0.0.256:1' }, {}, `--xds "10.0.0.256:1" ${address}`],
  [{ xds: 'a b:1' }, {}, `--xds "a b:1" ${address}`],
  [{ xds: 'ftp://a:1' }, {}, `--xds "ftp://a:1" ${address}`],
  [{}, { XDS_ADDRESS: 'x' }, `XDS_ADDRESS "x" ${address}`],
  [{ xds: 'x' }, { XDS_ADDRESS: 'x' }, `XDS_ADDRESS "x" ${address}`],
  [{ xds: 'x' }, { XDS_ADDRESS: 'a:1' }, `--xds "x" ${address}`],
  [{}, { XDS_ADDRESS: '' }, 'XDS_ADDRESS is empty and there is no --config: nothing to read'],
  [
    { xds: 'https://a:1', xdsPlaintext: true },
    {},
    '--xds "https://a:1" is of https, which --xds-plaintext contradicts',
  ],
  [{ xds: 'a:1', xdsPlaintext: true, xdsRootCert: '/r' }, {}, '--xds-root-cert has no meaning without TLS'],
  [{ xds: 'http://a:1', xdsServerName: 'n' }, {}, '--xds-server-name has no meaning without TLS'],
  [{}, { XDS_ON_DEMAND: 'yes' }, 'XDS_ON_DEMAND "yes" must be true or false'],
  [{ pod: 'just-a-name' }, {}, '--pod "just-a-name" must be NAMESPACE/NAME'],
  [{ pod: 'a/b/c' }, {}, '--pod "a/b/c" must be NAMESPACE/NAME'],
  [{ pod: 'a/b~c' }, {}, '--pod "b~c" must be a Kubernetes name'],
  [{}, { POD_NAMESPACE: 'a/b' }, 'POD_NAMESPACE "a/b" must be a Kubernetes name'],
  [{ instanceIp: '10.0.0' }, {}, '--instance-ip "10.0.0" must be an IPv4 or IPv6 address, or several with commas'],
  [{}, { INSTANCE_IP: '1.1.1.1,' }, 'INSTANCE_IP "1.1.1.1," must be an IPv4 or IPv6 address, or several with commas'],
  [{}, { ISTIO_METAJSON_X: '{' }, 'ISTIO_METAJSON_X "{" must be JSON'],
  [{}, { 'XDS_HEADER_a b': 'x' }, 'XDS_HEADER_a b "x" names no header that can be sent'],
  [{}, { XDS_HEADER_GRPC_X: 'x' }, ''],
  [{}, { 'XDS_HEADER_grpc-x': 'x' }, 'XDS_HEADER_grpc-x "x" names no header that can be sent'],
  [{}, { 'XDS_HEADER_x-bin': 'x' }, 'XDS_HEADER_x-bin "x" names no header that can be sent'],
  [{}, { XDS_HEADER_X: 'a\nb' }, 'XDS_HEADER_X "a\nb" must be printable ASCII'],
])('%j %j', (wrong, environ, message) => {
  if (message === '') return void expect(read(wrong, environ)).toBeDefined();
  let fault: unknown;
  try {
    read(wrong, environ);
  } catch (error) {
    fault = error;
  }
  expect(fault).toMatchObject({ code: 'KM_USAGE', message });
});

test.each<[XdsFlags, string]>([
  [{ xdsPlaintext: true }, '--xds-plaintext'],
  [{ xdsRootCert: '/r' }, '--xds-root-cert'],
  [{ xdsToken: '/t' }, '--xds-token'],
  [{ xdsServerName: 'n' }, '--xds-server-name'],
  [{ xdsOnDemand: true }, '--xds-on-demand'],
])('with files alone, %j is a mistake', (wrong, flag) => {
  expect(() => readXdsSettings(wrong, {}, { hostname: 'h', hasConfig: true })).toThrow(`${flag} needs --xds`);
});
