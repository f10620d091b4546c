// SPDX-License-Identifier: Apache-2.0
// The waypoint commands against a real API server: what it owns, validates, refuses and stores.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { program as commands } from '../../src/cli/program.ts';
import { gatewayClasses, gateways, type Kind, namespaces } from '../../src/kube/object.ts';
import { openCluster } from '../../src/kube/rest.ts';
import { runLine, testEnv } from '../cli/program.ts';
import { type KubeApi, startKube, withKube } from '../support/kube-api.ts';
import { condition, gateway, gatewayClass, home } from '../support/waypoint-objects.ts';

const envoyFilters: Kind = {
  apiVersion: 'networking.istio.io/v1alpha3',
  plural: 'envoyfilters',
  singular: 'envoyfilter',
};

withKube('waypoint commands', () => {
  let kube: KubeApi;
  let shop = '';
  let made = 0;
  const run = async (line: string, of: { namespace?: string; user?: 'admin' | 'viewer' } = { namespace: shop }) => {
    // No agent of this machine is meant.
    const env = { KUBECONFIG: kube.kubeconfig(of), KMESH_RUN_DIR: '/nonexistent' };
    return runLine(commands, ['waypoint', ...line.split(' ')], { env, root: false });
  };
  const done = async (line: string) => {
    const { code, stdout, stderr } = await run(line);
    expect({ code, stderr }, line).toEqual({ code: 0, stderr: '' });
    return stdout;
  };
  const held = (name = 'waypoint') => kube.get(gateways, name, shop);
  const ours = (name: string, fields = {}) => {
    const { status: _, metadata, ...rest } = gateway(name, { namespace: shop, ...fields });
    const { generation: __, ...meta } = metadata;
    return { ...rest, metadata: meta };
  };
  const program = (name: string, conditions: unknown[]) => {
    const full = conditions.map((one) => ({ lastTransitionTime: '2026-01-01T00:00:00Z', ...(one as object) }));
    return kube.setStatus(gateways, ours(name), {
      conditions: full,
      addresses: [{ type: 'IPAddress', value: '10.0.0.9' }],
    });
  };

  beforeAll(async () => {
    kube = await startKube();
    // Before the cluster knows Gateways.
    const { code, stderr } = await run('list', { namespace: 'default' });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'error KM_KUBE: the cluster does not know gateways (gateway.networking.k8s.io/v1)\n' +
        'hint: install the resource definitions of the Gateway API\n',
    });
    await kube.define('gateways.gateway.networking.k8s.io');
    await kube.define('gatewayclasses.gateway.networking.k8s.io');
    await kube.define('envoyfilters.networking.istio.io');
    await kube.put(gatewayClasses, gatewayClass());
  });
  afterAll(() => kube?.close());
  beforeEach(async () => {
    made += 1;
    shop = `shop-${made}`;
    await kube.put(namespaces, home(shop));
  });

  describe('generate', () => {
    test.each([
      '',
      '--name edge --for workload --revision v2 --image example.com/proxy:1',
      '--class kmesh-waypoint',
      '--class kmesh-waypoint --protocol kmesh',
      '--class kmesh-waypoint --protocol none',
      '--protocol proxy',
    ])('what it prints is what a cluster takes: %j', async (flags) => {
      const object = parse(await done(`generate -n ${shop} ${flags}`.trim()));
      await kube.put(gateways, object);
      expect(await held(object.metadata.name)).toMatchObject({
        metadata: object.metadata,
        spec: { ...object.spec, listeners: [{}] },
      });
    });

    test('the EnvoyFilter, too', async () => {
      const object = parse(await done(`generate -n ${shop} --envoyfilter`));
      await kube.put(envoyFilters, object);
      expect(await kube.get(envoyFilters, 'waypoint-proxy-protocol', shop)).toMatchObject({ spec: object.spec });
    });
  });

  describe('apply', () => {
    const managers = async () => {
      const { managedFields = [] } = { ...(await held())?.metadata } as {
        managedFields?: readonly { readonly manager: string; readonly operation: string }[];
      };
      return managedFields.map(({ manager, operation }) => `${manager} ${operation}`);
    };

    test('makes it, leaves it, changes it: labels stand beside each other, and go when they are not asked for', async () => {
      expect(await done('apply')).toBe(`waypoint ${shop}/waypoint applied: created\n`);
      expect(await managers()).toEqual(['kmeshctl Apply']);
      expect(await done('apply')).toBe(`waypoint ${shop}/waypoint applied: unchanged\n`);
      expect(await done('apply --for all --revision v2')).toBe(`waypoint ${shop}/waypoint applied: changed\n`);
      expect((await held())?.metadata.labels).toEqual({ 'istio.io/waypoint-for': 'all', 'istio.io/rev': 'v2' });
      await done('apply --revision v2');
      expect((await held())?.metadata.labels).toEqual({ 'istio.io/rev': 'v2' });
    });

    test('one that another tool made is no fault, and what that tool owns stays', async () => {
      const other = ours('waypoint', { labels: { team: 'a' } });
      await kube.put(gateways, other, 'istioctl');
      expect(await done('apply --for service')).toBe(`waypoint ${shop}/waypoint applied: changed\n`);
      expect((await held())?.metadata.labels).toEqual({ team: 'a', 'istio.io/waypoint-for': 'service' });
      expect((await managers()).sort()).toEqual(['istioctl Apply', 'kmeshctl Apply']);
    });

    test('fields that others own with other values: whose, and which', async () => {
      await kube.put(
        gateways,
        ours('waypoint', { labels: { 'istio.io/waypoint-for': 'all' }, class: 'other' }),
        'argocd',
      );
      const before = await held();
      const { code, stdout, stderr } = await run('apply --for none');
      expect({ code, stdout, stderr }).toEqual({
        code: 1,
        stdout: '',
        stderr:
          `error KM_CONFLICT: gateway ${shop}/waypoint: other field managers own what should be written: ` +
          '"argocd" owns .metadata.labels.istio.io/waypoint-for, .spec.gatewayClassName\n' +
          'hint: --force-conflicts takes these fields over\n',
      });
      expect(await held()).toEqual(before);
      await done('apply --for none --force-conflicts');
      expect((await held())?.spec?.gatewayClassName).toBe('istio-waypoint');
    });

    test('a dry run is checked by the API server, and stores nothing', async () => {
      expect(await done('apply --dry-run --enroll-namespace --wait')).toContain('(dry run: nothing was stored)');
      expect(await held()).toBeUndefined();
      expect((await kube.get(namespaces, shop))?.metadata.labels).not.toHaveProperty(['istio.io/use-waypoint']);
      const bad = await run('apply --dry-run --revision not/a/label/value');
      expect(bad.code).toBe(1);
      expect(bad.stderr).toContain('metadata.labels: Invalid value');
    });

    test('a namespace that is not there, a user that may not, a class that nobody made', async () => {
      const gone = await run('apply -n gone');
      expect(gone.stderr).toContain(
        'error KM_NOT_FOUND: there is no namespace "gone"\nhint: kubectl create namespace gone',
      );
      const viewer = await run('apply', { namespace: shop, user: 'viewer' });
      expect(viewer.stderr).toMatch(
        /^error KM_KUBE: gateway .* is forbidden: User "viewer" cannot .*\nhint: the user of this context may not/,
      );
      expect(await done('apply --class other')).toContain('warning: the cluster has no GatewayClass "other"');
    });

    test('enrols the namespace once, and lets no other waypoint be replaced unasked', async () => {
      const first = await done('apply --enroll-namespace');
      expect(first).toContain(`namespace ${shop} labeled with "istio.io/use-waypoint: waypoint"`);
      expect(await done('apply --enroll-namespace')).toContain(`namespace ${shop} uses it already`);
      const { code, stderr } = await run('apply --name edge --enroll-namespace');
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `error KM_CONFLICT: namespace ${shop} uses waypoint "waypoint" already; nothing was changed\nhint: --overwrite lets it use this one\n`,
      });
      expect(await held('edge')).toBeUndefined();
      await done('apply --name edge --enroll-namespace --overwrite');
      expect((await kube.get(namespaces, shop))?.metadata.labels).toMatchObject({ 'istio.io/use-waypoint': 'edge' });
    });

    test('a namespace that was changed since it was read is not labelled', async () => {
      const cluster = await openCluster(testEnv(), { kubeconfig: kube.kubeconfig() });
      const before = await cluster.get(namespaces, shop);
      await kube.put(namespaces, home(shop, { 'istio.io/use-waypoint': 'theirs' }), 'other');
      if (before === undefined) throw new Error('no namespace');
      const late = cluster.label(namespaces, before, { 'istio.io/use-waypoint': 'ours' }, { dryRun: false });
      await expect(late).rejects.toMatchObject({ code: 'KM_CONFLICT' });
      expect((await kube.get(namespaces, shop))?.metadata.labels).toMatchObject({ 'istio.io/use-waypoint': 'theirs' });
    });

    test('waits, telling what for, and enrols once it is programmed', async () => {
      const running = run('apply --wait --timeout 100s --enroll-namespace');
      await expect.poll(() => held(), { timeout: 60_000 }).toBeDefined();
      expect((await kube.get(namespaces, shop))?.metadata.labels).not.toHaveProperty(['istio.io/use-waypoint']);
      await program('waypoint', [condition('Programmed', 'True', 'Programmed', '', 1)]);
      const { code, stdout, stderr } = await running;
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout:
          `waypoint ${shop}/waypoint applied: created\nwaypoint ${shop}/waypoint is programmed\n` +
          `namespace ${shop} labeled with "istio.io/use-waypoint: waypoint"\n`,
      });
      const told = stderr.trim().split('\n');
      expect(told[0]).toMatch(/: \d+ of 100 s: Programmed is Unknown, reason Pending: Waiting for controller$/);
      // Once, and again every 10 seconds.
      expect(told.length).toBeLessThan(10);
    });

    test('ends at the time-out with the reason, and leaves the namespace alone', async () => {
      const { code, stderr } = await run('apply --wait --timeout 1s --enroll-namespace');
      expect(code).toBe(1);
      expect(stderr).toContain(
        `error KM_TIMEOUT: waypoint ${shop}/waypoint is not programmed after 1 s: Programmed is Unknown, reason Pending: Waiting for controller\n`,
      );
      expect((await kube.get(namespaces, shop))?.metadata.labels).not.toHaveProperty(['istio.io/use-waypoint']);
    });
  });

  describe('list and status', () => {
    beforeEach(async () => {
      await kube.put(gateways, ours('a', { labels: { 'istio.io/rev': 'v2' } }));
      await kube.put(gateways, ours('b'));
      await kube.put(gateways, ours('ingress', { class: 'istio' }));
      await program('b', [
        condition('Accepted', 'True', 'Accepted'),
        condition('Programmed', 'True', 'Programmed', 'ready'),
      ]);
    });
    const table = (text: string) =>
      text
        .trim()
        .split('\n')
        .map((line) => line.split(/ {2,}/));

    test('the namespace is that of the context, the flag, or all', async () => {
      const rows = [
        ['NAME', 'REVISION', 'TRAFFIC TYPE', 'PROGRAMMED', 'CLASS', 'ADDRESSES'],
        ['a', 'v2', 'service', 'Unknown', 'istio-waypoint', '-'],
        ['b', 'default', 'service', 'True', 'istio-waypoint', '10.0.0.9'],
      ];
      expect(table(await done('list'))).toEqual(rows);
      const elsewhere = await run(`list -n ${shop}`, {});
      expect(table(elsewhere.stdout)).toEqual(rows);
      expect((await run('list', {})).stdout).toBe('No waypoints found.\n');
      const all = table((await run('list -A', {})).stdout);
      expect(all[0]?.slice(0, 2)).toEqual(['NAMESPACE', 'NAME']);
      expect(all.filter(([namespace]) => namespace === shop).map(([, name]) => name)).toEqual(['a', 'b']);
    });

    test('status says each condition once, at once', async () => {
      expect(table(await done('status'))).toEqual([
        ['NAME', 'STATUS', 'TYPE', 'REASON', 'MESSAGE'],
        ['a', 'Unknown', 'Accepted', 'Pending', 'Waiting for controller'],
        ['a', 'Unknown', 'Programmed', 'Pending', 'Waiting for controller'],
        ['b', 'True', 'Accepted', 'Accepted'],
        ['b', 'True', 'Programmed', 'Programmed', 'ready'],
      ]);
      expect((await run('status', {})).stdout).toBe('No waypoints found.\n');
      expect((await run(`status -n ${shop}`, {})).stdout).toBe(await done('status'));
      expect(table((await run('status -A', {})).stdout)[0]?.[0]).toBe('NAMESPACE');
      expect(table(await done('status b --wait')).length).toBe(3);
      const { code, stdout, stderr } = await run('status b gone');
      expect({ code, rows: table(stdout).length, stderr }).toEqual({
        code: 1,
        rows: 3,
        stderr: 'error KM_NOT_FOUND: no such waypoint: gone\n',
      });
      expect((await run('status --wait --timeout 1s')).stderr).toContain(
        `error KM_TIMEOUT: waypoint ${shop}/a is not programmed`,
      );
    });

    test('delete: by name, by revision, all, and never what is no waypoint', async () => {
      // As of a variable that is not set: the namespace of the context, as with kubectl, and never all of them.
      expect((await run('delete --all --dry-run -n=', {})).stdout).toBe('No waypoints found.\n');
      for (const up of ['..', '.']) {
        const { code, stdout, stderr } = await run(`delete --all --dry-run -n ${up}`);
        expect([code, stdout, stderr]).toEqual([
          2,
          '',
          `error KM_USAGE: "${up}" is no name of anything in a cluster\n`,
        ]);
      }
      expect(await done('delete --all --dry-run')).toBe(
        `waypoint ${shop}/a would be deleted\nwaypoint ${shop}/b would be deleted\n`,
      );
      const some = await run('delete b gone ingress');
      expect(some.stdout).toBe(
        `waypoint ${shop}/b deleted\nwaypoint ${shop}/gone not found\n` +
          `waypoint ${shop}/ingress failed: a Gateway of class istio is no waypoint\n`,
      );
      expect({ code: some.code, stderr: some.stderr }).toEqual({
        code: 1,
        stderr: 'error KM_KUBE: 2 waypoints of 3 not deleted\n',
      });
      expect(await held('b')).toBeUndefined();
      expect(await done('delete --revision v2')).toBe(`waypoint ${shop}/a deleted\n`);
      expect(await done('delete --all')).toBe('No waypoints found.\n');
      expect(await held('ingress')).toBeDefined();
    });

    test('one that was made anew under its name is not deleted for the old one', async () => {
      const cluster = await openCluster(testEnv(), { kubeconfig: kube.kubeconfig() });
      const old = await cluster.get(gateways, 'a', shop);
      if (old === undefined) throw new Error('no gateway');
      await done('delete a');
      await kube.put(gateways, ours('a'));
      await expect(cluster.remove(gateways, old, { dryRun: false })).rejects.toMatchObject({ code: 'KM_CONFLICT' });
      expect(await held('a')).toBeDefined();
    });
  });
});
