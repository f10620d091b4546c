// SPDX-License-Identifier: Apache-2.0
// Which routes hold where, and what their authors are told.
import { describe, expect, test } from 'vitest';
import { type AttachOptions, attachRoutes, openAttacher } from '../../../src/compile/l7/attach.ts';
import { modelOfYaml } from '../../support/l7.ts';

const service = (name: string, ports: string, more = 'clusterIP: 10.96.0.1') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: shop}
spec: {${more}, ports: [${ports}]}
---`;
const http = '{name: web, port: 80, appProtocol: http}';
interface Meta {
  readonly namespace?: string;
  readonly created?: string;
}
const route = (
  kind: string,
  name: string,
  parent: string,
  rules: string,
  { namespace = 'shop', created }: Meta = {},
) => `
apiVersion: gateway.networking.k8s.io/${kind.startsWith('T') ? 'v1alpha2' : 'v1'}
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}${created ? `, creationTimestamp: "${created}"` : ''}}
spec: {parentRefs: [{group: "", kind: Service, namespace: shop, ${parent}}], rules: [${rules}]}
---`;
const rule = (backend: string) => `{backendRefs: [{${backend}}]}`;
const own = rule('name: cart, namespace: shop, port: 80');

function said(text: string, key: string, options?: AttachOptions): string[] {
  const { status } = attachRoutes(modelOfYaml(text), options);
  return (status.get(key)?.[0]?.conditions ?? []).map((c) => `${c.type} ${c.status ? 'yes' : 'no'} ${c.reason}`);
}
const cart = service('cart', http);
const fine = ['Accepted yes Accepted', 'ResolvedRefs yes ResolvedRefs'];

describe('Accepted', () => {
  const accepted = (text: string, key = 'HTTPRoute shop/r') => said(text, key)[0];
  test('parents and ports that are there', () => {
    expect(said(cart + route('HTTPRoute', 'r', 'name: cart', own), 'HTTPRoute shop/r')).toEqual(fine);
    expect(accepted(cart + route('HTTPRoute', 'r', 'name: cart, port: 80', own))).toBe('Accepted yes Accepted');
    expect(accepted(cart + route('HTTPRoute', 'r', 'name: cart, sectionName: web', own))).toBe('Accepted yes Accepted');
    for (const parent of ['name: nobody', 'name: cart, port: 81', 'name: cart, sectionName: other']) {
      expect(accepted(cart + route('HTTPRoute', 'r', parent, own))).toBe('Accepted no NoMatchingParent');
    }
  });
  test('headless services, and ports that are spoken to otherwise', () => {
    const no = 'Accepted no NoMatchingParent';
    expect(accepted(service('cart', http, 'clusterIP: None') + route('HTTPRoute', 'r', 'name: cart', own))).toBe(no);
    const tls = service('cart', '{name: web, port: 80, appProtocol: https}');
    expect(accepted(tls + route('HTTPRoute', 'r', 'name: cart', own))).toBe(no);
    expect(accepted(cart + route('TLSRoute', 'r', 'name: cart', own), 'TLSRoute shop/r')).toBe(no);
    const open = service('cart', '{name: web, port: 80}');
    expect(accepted(open + route('HTTPRoute', 'r', 'name: cart', own))).toBe('Accepted yes Accepted');
  });
  test('of several kinds the most specific one, of TCPRoutes the oldest', () => {
    const open = service('cart', '{name: web, port: 80}');
    const all = ['TCPRoute', 'TLSRoute', 'HTTPRoute', 'GRPCRoute'];
    all.forEach((kind, i) => {
      const text =
        open +
        all
          .slice(0, i + 1)
          .map((k) => route(k, 'r', 'name: cart', own))
          .join('');
      expect(all.slice(0, i + 1).map((k) => accepted(text, `${k} shop/r`))).toEqual([
        ...all.slice(0, i).map(() => 'Accepted no Conflicted'),
        'Accepted yes Accepted',
      ]);
      expect(kind).toBe(all[i]);
    });
    const two =
      open +
      route('TCPRoute', 'a', 'name: cart', own, { created: '2024-01-02T00:00:00Z' }) +
      route('TCPRoute', 'b', 'name: cart', own, { created: '2024-01-01T00:00:00Z' });
    expect([accepted(two, 'TCPRoute shop/a'), accepted(two, 'TCPRoute shop/b')]).toEqual([
      'Accepted yes Accepted',
      'Accepted yes Accepted',
    ]);
  });
  test("routes of clients' namespaces: of requests only", () => {
    const away = { namespace: 'away' };
    expect(said(cart + route('HTTPRoute', 'r', 'name: cart', own, away), 'HTTPRoute away/r')).toEqual(fine);
    const open = service('cart', '{name: web, port: 80}');
    expect(said(open + route('TCPRoute', 'r', 'name: cart', own, away), 'TCPRoute away/r')[0]).toBe(
      'Accepted no UnsupportedValue',
    );
  });
  test('a route of which nothing is left', () => {
    const bad = '{matches: [{path: {type: RegularExpression, value: "("}}]}';
    expect(said(cart + route('HTTPRoute', 'r', 'name: cart', bad), 'HTTPRoute shop/r')).toEqual([
      'Accepted no UnsupportedValue',
      'ResolvedRefs yes ResolvedRefs',
    ]);
    expect(said(cart + route('HTTPRoute', 'r', 'name: cart', `${bad}, ${own}`), 'HTTPRoute shop/r')).toEqual([
      ...fine,
      'PartiallyInvalid yes UnsupportedValue',
    ]);
  });
  test('who is to act on it: nobody, or a proxy that is not stock', () => {
    const gateway = (binding: string) => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop, annotations: {kmesh.net/waypoint-binding: ${binding}}}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: IPAddress, value: 10.96.9.9}]}
---`;
    const enrolled = cart.replace('namespace: shop}', 'namespace: shop, labels: {istio.io/use-waypoint: waypoint}}');
    const first = (text: string) => attachRoutes(modelOfYaml(text)).status.get('HTTPRoute shop/r')?.[0]?.conditions[0];
    const r = route('HTTPRoute', 'r', 'name: cart', own);
    expect(first(cart + r)).toMatchObject({
      status: true,
      message: 'the service has no waypoint that could act on it',
    });
    expect(first(enrolled + gateway('PROXY') + r)).toMatchObject({ status: true, message: '' });
    for (const binding of ['KMESH', 'NONE']) {
      expect(first(enrolled + gateway(binding) + r)).toMatchObject({ status: false, reason: 'UnsupportedValue' });
    }
  });
  test('of parents that are no services nothing is said', () => {
    const text =
      cart +
      route('HTTPRoute', 'r', 'name: cart', own).replace(
        'group: "", kind: Service',
        'kind: Gateway, group: gateway.networking.k8s.io',
      );
    expect(said(text, 'HTTPRoute shop/r')).toEqual([]);
  });
});

describe('ResolvedRefs', () => {
  const refs = (backend: string, options?: AttachOptions, more = '') =>
    said(cart + more + route('HTTPRoute', 'r', 'name: cart', rule(backend)), 'HTTPRoute shop/r', options)[1];
  test('backends that are not there, or of another kind', () => {
    expect(refs('name: nobody, port: 80')).toBe('ResolvedRefs no BackendNotFound');
    expect(refs('name: cart, port: 81')).toBe('ResolvedRefs no BackendNotFound');
    expect(refs('name: cart, kind: Bucket, group: a.b')).toBe('ResolvedRefs no InvalidKind');
  });
  test('other namespaces, with grants where they are asked for', () => {
    const there = service('x', http, 'clusterIP: 10.96.0.2').replace('namespace: shop', 'namespace: other');
    const grant = (to: string) => `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: other}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: "", kind: Service${to}}]}
---`;
    const x = 'name: x, namespace: other, port: 80';
    const yes = 'ResolvedRefs yes ResolvedRefs';
    expect(refs(x, {}, there)).toBe(yes);
    const strict = { requireGrants: true };
    expect(refs(x, strict, there)).toBe('ResolvedRefs no RefNotPermitted');
    expect(refs(x, strict, there + grant(''))).toBe(yes);
    expect(refs(x, strict, there + grant(', name: x'))).toBe(yes);
    expect(refs(x, strict, there + grant(', name: y'))).toBe('ResolvedRefs no RefNotPermitted');
  });
  test('hosts, of services and entries, as far as they are visible', () => {
    const entry = (namespace: string, more = '') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: ${namespace}}
spec: {hosts: [a.example.com, b.example.com], ports: [{number: 443, name: tls}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]${more}}
---`;
    const host = (name: string, more = ', port: 443') =>
      `group: networking.istio.io, kind: Hostname, name: ${name}${more}`;
    const b = host('b.example.com');
    const yes = 'ResolvedRefs yes ResolvedRefs';
    const target = (text: string) => [...attachRoutes(modelOfYaml(text)).targetsOf('HTTPRoute shop/r').values()][0];
    const r = (backend: string) => route('HTTPRoute', 'r', 'name: cart', rule(backend));
    expect(refs(b)).toBe('ResolvedRefs no BackendNotFound');
    expect(refs(b, {}, entry('other'))).toBe(yes);
    expect(refs(host('B.example.com'), {}, entry('other'))).toBe(yes);
    expect(refs(b, {}, entry('other', ', exportTo: ["."]'))).toBe('ResolvedRefs no BackendNotFound');
    expect(refs(host('c.example.com'), {}, entry('other'))).toBe('ResolvedRefs no BackendNotFound');
    expect(refs(host('b.example.com', ', port: 80'), {}, entry('other'))).toBe('ResolvedRefs no BackendNotFound');
    expect(refs(host('cart.shop.svc.cluster.local', ', port: 80'))).toBe(yes);
    expect(refs(host('b.example.com', ''), {}, entry('shop'))).toBe('ResolvedRefs no InvalidDestination');
    expect(refs(`${b}, namespace: shop`, {}, entry('shop'))).toBe('ResolvedRefs no InvalidDestination');
    // The route's own namespace first.
    expect(target(cart + r(b) + entry('other'))).toBe('other/b.example.com|443');
    expect(target(cart + r(b) + entry('other') + entry('shop'))).toBe('shop/b.example.com|443');
    const strict = { requireGrants: true };
    const grant = (to: string) => `
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: other}
spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: networking.istio.io, kind: Hostname${to}}]}
---`;
    expect(refs(b, strict, entry('shop'))).toBe(yes);
    expect(refs(b, strict, entry('other'))).toBe('ResolvedRefs no RefNotPermitted');
    expect(refs(b, strict, entry('other') + grant(''))).toBe(yes);
    expect(refs(b, strict, entry('other') + grant(', name: b.example.com'))).toBe(yes);
    expect(refs(b, strict, entry('other') + grant(', name: a.example.com'))).toBe('ResolvedRefs no RefNotPermitted');
  });
  test('a host that comes, goes and changes reaches the routes that name it', () => {
    const attach = openAttacher();
    const entry = (hosts: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: other}
spec: {hosts: [${hosts}], ports: [{number: 443, name: tls}], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}
---`;
    const r = route(
      'HTTPRoute',
      'r',
      'name: cart',
      rule('group: networking.istio.io, kind: Hostname, name: b.example.com, port: 443'),
    );
    const all = [entry('a.example.com'), entry('b.example.com'), '', entry('a.example.com, b.example.com')];
    const seen = all.map((text) => {
      const target = [
        ...attach(modelOfYaml(cart + r + text))
          .targetsOf('HTTPRoute shop/r')
          .values(),
      ][0];
      return typeof target === 'string' ? target : target?.reason;
    });
    const found = 'other/b.example.com|443';
    expect(seen).toEqual(['BackendNotFound', found, 'BackendNotFound', found]);
  });
});
