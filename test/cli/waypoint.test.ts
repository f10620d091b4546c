// SPDX-License-Identifier: Apache-2.0
// The waypoint commands as they are typed: what "generate" prints, and what is refused before any cluster is asked.
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { program } from '../../src/cli/program.ts';
import { runLine } from './program.ts';

const run = (line: string) =>
  runLine(program, ['waypoint', ...line.split(' ')], {
    root: false,
    // No agent of this machine is meant.
    env: { HOME: '/nonexistent', KMESH_RUN_DIR: '/nonexistent' },
  });
const generated = async (flags: string) => {
  const { code, stdout, stderr } = await run(`generate ${flags}`.trim());
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return parse(stdout);
};

test('help of the topic, where flags of its commands stand before it', async () => {
  const help = await run('--help');
  expect(help.stdout).toContain('Usage: kmeshctl waypoint ');
  expect(await runLine(program, ['-n', 'shop', 'waypoint', '--help'])).toEqual(help);
});

describe('generate', () => {
  test('works without a cluster, a kubeconfig or root', async () => {
    const { stdout } = await run('generate');
    expect(stdout).toBe(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: waypoint
spec:
  gatewayClassName: istio-waypoint
  listeners:
    - name: mesh
      port: 15008
      protocol: HBONE
`);
  });

  test('--for and --revision are labels beside each other', async () => {
    const { metadata } = await generated('-n shop --name edge --for workload -r v2');
    expect(metadata).toEqual({
      name: 'edge',
      namespace: 'shop',
      labels: { 'istio.io/waypoint-for': 'workload', 'istio.io/rev': 'v2' },
    });
    expect((await generated('--revision v2')).metadata.labels).toEqual({ 'istio.io/rev': 'v2' });
  });

  test('an empty name, type or revision is as none, and values may follow an equals sign, as in istioctl', async () => {
    expect((await generated('--name= --for= --revision= -n=shop')).metadata).toEqual({
      name: 'waypoint',
      namespace: 'shop',
    });
  });

  test('no image is asked for unless one is given', async () => {
    const { metadata } = await generated('--image example.com/proxy:1');
    expect(metadata.annotations).toEqual({ 'sidecar.istio.io/proxyImage': 'example.com/proxy:1' });
  });

  test.each([
    ['--protocol proxy', { 'ambient.istio.io/waypoint-inbound-binding': 'PROXY/15088' }, 15008, 'HBONE'],
    ['--protocol NONE/8080', { 'ambient.istio.io/waypoint-inbound-binding': 'NONE/8080' }, 15008, 'HBONE'],
    ['--protocol kmesh', { 'kmesh.net/waypoint-binding': 'KMESH/15019' }, 15008, 'HBONE'],
    ['--class kmesh-waypoint', { 'ambient.istio.io/waypoint-inbound-binding': 'PROXY/15088' }, 15088, 'istio.io/PROXY'],
    [
      '--class kmesh-waypoint --protocol kmesh',
      { 'kmesh.net/waypoint-binding': 'KMESH/15019' },
      15019,
      'kmesh.net/KMESH',
    ],
    [
      '--class kmesh-waypoint --protocol none/80',
      { 'ambient.istio.io/waypoint-inbound-binding': 'NONE/80' },
      80,
      'TCP',
    ],
  ])('%s', async (flags, annotations, port, protocol) => {
    const { metadata, spec } = await generated(flags);
    expect(metadata.annotations).toEqual(annotations);
    expect(spec.listeners).toEqual([{ name: 'mesh', port, protocol }]);
  });

  test('--address: where it is', async () => {
    const { spec } = await generated('--class kmesh-waypoint --address 10.0.0.7 --address way.shop.svc.cluster.local');
    expect(spec.addresses).toEqual([
      { type: 'IPAddress', value: '10.0.0.7' },
      { type: 'Hostname', value: 'way.shop.svc.cluster.local' },
    ]);
    expect((await generated('')).spec).not.toHaveProperty('addresses');
  });

  test('as JSON it is the object, too', async () => {
    expect(JSON.parse((await run('generate -o json')).stdout)).toEqual(await generated('-o yaml'));
  });

  test('--envoyfilter: a listener for the PROXY protocol, bound to the one waypoint', async () => {
    const { apiVersion, kind, metadata, spec } = await generated('--envoyfilter -n shop');
    expect({ apiVersion, kind, metadata }).toEqual({
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'waypoint-proxy-protocol', namespace: 'shop' },
    });
    expect(spec.targetRefs).toEqual([{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'waypoint' }]);
    expect(spec.configPatches.length).toBe(2);
    const [{ applyTo, match, patch }] = spec.configPatches;
    expect({ applyTo, match, operation: patch.operation }).toEqual({
      applyTo: 'LISTENER',
      match: { context: 'SIDECAR_INBOUND' },
      operation: 'ADD',
    });
    expect(patch.value.address).toEqual({ socket_address: { address: '0.0.0.0', port_value: 15088 } });
    expect(patch.value.listener_filters[0].name).toBe('envoy.filters.listener.proxy_protocol');
    const other = await generated('--envoyfilter --protocol proxy/16000');
    expect(other.spec.configPatches[0].patch.value.address.socket_address.port_value).toBe(16000);
  });
});

test.each([
  ['generate --name none', 'a waypoint cannot be called "none"'],
  ['generate --name Way', '"Way" is no name of a waypoint'],
  ['generate --for everything', '--for must be one of service, workload, all, none, got "everything"'],
  ['generate --protocol http', '--protocol must be proxy, kmesh or none'],
  ['generate --protocol proxy/70000', '--protocol must be proxy, kmesh or none'],
  ['generate --envoyfilter --protocol kmesh', '--envoyfilter is for the PROXY protocol'],
  ['generate --envoyfilter --class kmesh-waypoint', '--envoyfilter is for waypoints of istiod'],
  ['generate --address 10.0.0', '--address must be an IP address or a host name, got "10.0.0"'],
  ['generate --kubeconfig x', 'unknown option "--kubeconfig"'],
  ['apply --name none', 'a waypoint cannot be called "none"'],
  ['apply --timeout soon', '--timeout must be a length of time'],
  ['delete', 'which waypoint?'],
  ['delete a --all', 'exclude each other'],
  ['status a -A', 'exclude each other'],
])('usage: %s', async (line, message) => {
  const { code, stdout, stderr } = await run(line);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test.each(['apply', 'delete a', 'list', 'status --from cluster'])(
  '%s without a kubeconfig says how to name one',
  async (line) => {
    const { code, stderr } = await run(line);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error KM_KUBE: no cluster to talk to: there is no kubeconfig\nhint: give --kubeconfig FILE/,
    );
  },
);
