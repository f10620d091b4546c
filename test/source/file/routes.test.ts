// SPDX-License-Identifier: Apache-2.0
// Routes of the Gateway API, grants and aimed policies: what becomes of documents, and what is said of them.
import { expect, test } from 'vitest';
import type { HttpRoute } from '../../../src/mesh/route.ts';
import type { WaypointPolicy } from '../../../src/mesh/waypoint-policy.ts';
import { built, lines, says } from './texts.ts';

const head = (kind: string, name = 'r', version = 'v1') =>
  `apiVersion: gateway.networking.k8s.io/${version}\nkind: ${kind}\nmetadata: {name: ${name}, namespace: shop}\n`;
const parents = 'parentRefs: [{group: "", kind: Service, name: cart, port: 80}]';
const route = (rules: string, more = '') => `${head('HTTPRoute')}spec: {${parents}, rules: [${rules}]${more}}\n`;

function only(text: string) {
  const made = built(text);
  expect(lines(made.report.faults)).toEqual([]);
  return [...made.routes.values()][0];
}

test('an HTTPRoute is read whole, with what stands for nothing said', () => {
  expect(only(`${head('HTTPRoute')}spec: {${parents}}\n`)).toEqual({
    kind: 'HTTPRoute',
    namespace: 'shop',
    name: 'r',
    parents: [{ group: '', kind: 'Service', namespace: 'shop', name: 'cart', port: 80 }],
    rules: [
      {
        name: '',
        matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [] }],
        filters: [],
        backends: [],
        timeouts: {},
      },
    ],
  });
  const read = only(
    route(`{
      name: one,
      matches: [{path: {type: Exact, value: /a}, method: GET, headers: [{name: X-A, value: b}],
        queryParams: [{type: RegularExpression, name: Q, value: "1+"}]}],
      filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: A, value: b}], remove: [C]}},
        {type: URLRewrite, urlRewrite: {hostname: x.y, path: {type: ReplaceFullPath, replaceFullPath: /z}}},
        {type: RequestMirror, requestMirror: {backendRef: {name: shadow, port: 1}, percent: 10}}],
      backendRefs: [{name: v1, port: 8080, weight: 3}, {name: v2, namespace: other, port: 80}],
      timeouts: {request: 1m1s, backendRequest: 500ms},
      retry: {codes: [503], attempts: 2, backoff: 10ms}}`),
  ) as HttpRoute;
  expect(read.rules[0]).toMatchObject({
    name: 'one',
    matches: [
      {
        path: { kind: 'exact', value: '/a' },
        method: 'GET',
        headers: [{ kind: 'exact', name: 'x-a', value: 'b' }],
        query: [{ kind: 'regex', name: 'Q', value: '1+' }],
      },
    ],
    filters: [
      { kind: 'request-headers', set: [['a', 'b']], add: [], remove: ['c'] },
      { kind: 'rewrite', hostname: 'x.y', path: { kind: 'full', value: '/z' } },
      { kind: 'mirror', backend: { namespace: 'shop', name: 'shadow', port: 1 }, share: [10, 100] },
    ],
    backends: [
      { namespace: 'shop', name: 'v1', port: 8080, weight: 3 },
      { namespace: 'other', name: 'v2', weight: 1 },
    ],
    timeouts: { request: 61_000, backendRequest: 500 },
    retry: { codes: [503], attempts: 2, backoffMs: 10 },
  });
});

test('what does not go together is a fault with its place', () => {
  expect(
    says(
      route(`{matches: [{path: {value: a}}, {path: {value: /b//c}}],
        filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}},
          {type: RequestRedirect, requestRedirect: {statusCode: 304}},
          {type: RequestRedirect, requestRedirect: {}}],
        backendRefs: [{name: x}], timeouts: {request: 1s, backendRequest: 2s}, retries: {}}`),
    ),
  ).toMatchInlineSnapshot(`
    "a.yaml:6:65: HTTPRoute shop/r: spec.rules[0].filters[1].requestRedirect.statusCode: must be one of 301, 302, 303, 307, 308
    a.yaml:8:80: HTTPRoute shop/r: spec.rules[0].retries: is no field that is known here"
  `);
  expect(
    says(
      route(`{matches: [{path: {value: a}}, {path: {value: /b//c}}],
        filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}},
          {type: RequestRedirect, requestRedirect: {}}, {type: RequestRedirect, requestRedirect: {}},
          {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: x}]}},
          {type: CORS, cors: {}}],
        backendRefs: [{name: x}], timeouts: {request: 1s, backendRequest: 2s}}`),
    ),
  ).toMatchInlineSnapshot(`
    "a.yaml:6:18: HTTPRoute shop/r: spec.rules[0].filters[1].type: RequestRedirect and URLRewrite cannot stand together
    a.yaml:6:64: HTTPRoute shop/r: spec.rules[0].filters[2].type: RequestRedirect stands twice
    a.yaml:6:64: HTTPRoute shop/r: spec.rules[0].filters[2].type: RequestRedirect and URLRewrite cannot stand together
    a.yaml:7:78: HTTPRoute shop/r: spec.rules[0].filters[3].requestHeaderModifier.set[0].name: is the host: that is for URLRewrite
    a.yaml:4:106: HTTPRoute shop/r: spec.rules[0].matches[0].path.value: must begin with "/"
    a.yaml:4:126: HTTPRoute shop/r: spec.rules[0].matches[1].path.value: must not hold "//"
    a.yaml:9:23: HTTPRoute shop/r: spec.rules[0].backendRefs[0].port: is missing
    a.yaml:9:22: HTTPRoute shop/r: spec.rules[0].backendRefs: cannot stand beside a RequestRedirect
    a.yaml:5:19: HTTPRoute shop/r: spec.rules[0].filters[0]: replacePrefixMatch needs exactly one match, of type PathPrefix
    a.yaml:9:75: HTTPRoute shop/r: spec.rules[0].timeouts.backendRequest: must not be longer than request"
  `);
});

test('texts that Envoy would refuse, and with them every policy of the port, are faults', () => {
  expect(says(route('{backendRefs: [{name: x, namespace: Other_, port: 1}]}'))).toContain(
    'spec.rules[0].backendRefs[0].namespace: must be a lowercase DNS label',
  );
  expect(says(route('{matches: [{path: {value: "/a?b"}}], backendRefs: [{name: x, port: 1}]}'))).toContain(
    'must not hold "?"',
  );
  const answer = '{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: Host, value: x}]}}';
  expect(says(route(`{filters: [${answer}], backendRefs: [{name: x, port: 1}]}`))).toContain('answers have none');
  const condition =
    'targetRefs: [{kind: Service, group: "", name: cart}], rules: [{when: [{key: "request.headers[a b]", values: [x]}]}]';
  expect(says(policy(condition))).toContain('is no attribute that is known');
});

test('hostnames are warned of where a parent is a service; those of a Gateway are not ours', () => {
  const warned = (parent: string) =>
    lines(
      built(
        `${head('HTTPRoute')}spec: {parentRefs: [{name: edge}${parent}], hostnames: [x.example.com], rules: [{backendRefs: [{name: x, port: 1}]}]}\n`,
      ).report.warnings,
    ).join('\n');
  expect(warned('')).not.toContain('spec.hostnames');
  expect(warned(', {group: "", kind: Service, name: cart}')).toContain('spec.hostnames: have no effect');
});

test('CORS and sessions', () => {
  const read = (rule: string) => (only(route(rule)) as HttpRoute).rules[0];
  expect(
    read(`{filters: [{type: CORS, cors: {allowOrigins: ["https://*.x.y:8443"], allowMethods: [PUT], maxAge: 9}}],
      sessionPersistence: {sessionName: s, type: Header}}`),
  ).toMatchObject({
    filters: [
      {
        kind: 'cors',
        origins: ['https://*.x.y:8443'],
        methods: ['PUT'],
        headers: [],
        exposed: [],
        credentials: false,
        maxAgeSeconds: 9,
      },
    ],
    session: { kind: 'header', name: 's' },
  });
  expect(read('{sessionPersistence: {absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}}')?.session).toEqual(
    { kind: 'cookie', name: '', lifetime: 3_600_000 },
  );
  expect(
    says(
      route(`{filters: [{type: CORS, cors: {allowOrigins: ["*", "http://a"], allowMethods: [BREW]}}],
        sessionPersistence: {type: Header, cookieConfig: {lifetimeType: Permanent}, idleTimeout: 1m},
        backendRefs: [{name: a, port: 1}, {name: b, port: 1}]}, {filters: [{type: CORS, cors: {allowOrigins: [x.y]}}]}`),
    ),
  ).toMatchInlineSnapshot(`
    "a.yaml:4:159: HTTPRoute shop/r: spec.rules[0].filters[0].cors.allowMethods[0]: must be one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH, *, not "BREW"
    a.yaml:6:111: HTTPRoute shop/r: spec.rules[1].filters[0].cors.allowOrigins[0]: must be "*", or scheme://host[:port], not "x.y"
    warning a.yaml:5:98: HTTPRoute shop/r: spec.rules[0].sessionPersistence.idleTimeout: is not supported: a session has no end because of silence"
  `);
});

test('the other kinds', () => {
  expect(
    only(
      `${head('GRPCRoute')}spec: {${parents}, rules: [{matches: [{method: {service: a.B, method: C}}], backendRefs: [{name: x, port: 1}]}]}\n`,
    ),
  ).toMatchObject({
    kind: 'GRPCRoute',
    rules: [{ matches: [{ method: { kind: 'exact', service: 'a.B', method: 'C' } }] }],
  });
  expect(
    only(
      `${head('TLSRoute', 'r', 'v1alpha2')}spec: {${parents}, hostnames: ["*.Example.com"], rules: [{backendRefs: [{name: x, port: 1}]}]}\n`,
    ),
  ).toMatchObject({ kind: 'TLSRoute', hostnames: ['*.example.com'], rules: [{ backends: [{ name: 'x' }] }] });
  expect(
    only(
      `${head('TCPRoute', 'r', 'v1alpha2')}spec: {${parents}, rules: [{backendRefs: [{name: x, port: 1, weight: 0}]}]}\n`,
    ),
  ).toMatchObject({ kind: 'TCPRoute', rules: [{ backends: [{ weight: 0 }] }] });
  expect(
    only(
      `${head('ReferenceGrant', 'r', 'v1beta1')}spec: {from: [{group: g, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service, name: x}]}\n`,
    ),
  ).toMatchObject({ kind: 'ReferenceGrant', to: [{ group: '', kind: 'Service', name: 'x' }] });
});

const policy = (spec: string) =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {${spec}}\n`;

test('a policy that is aimed is for waypoints, with all that it asks', () => {
  const made = built(
    policy(`targetRefs: [{kind: Service, group: "", name: cart}], action: DENY,
      rules: [{from: [{source: {notPrincipals: ["*/sa/x"], namespaces: [a]}}], to: [{operation: {methods: [GET], paths: ["/a/*"]}}],
        when: [{key: "request.headers[X-B]", values: [c]}, {key: request.auth.principal, notValues: ["*"]}]}]`),
  );
  expect(lines(made.report.faults)).toEqual([]);
  expect(lines(made.report.warnings)).toEqual([expect.stringContaining('no token is read here')]);
  expect(made.policies.size).toBe(0);
  const read = [...made.routes.values()][0] as WaypointPolicy;
  expect(read).toMatchObject({
    action: 'deny',
    targets: [{ group: '', kind: 'Service', name: 'cart' }],
    rules: [
      {
        from: [{ principals: { any: [], none: [{ kind: 'suffix', value: '/sa/x' }] } }],
        to: [{ paths: { any: ['/a/*'], none: [] } }],
        when: [{ kind: 'header', name: 'x-b' }, { kind: 'token' }],
      },
    ],
  });
});

test('templates are whole segments', () => {
  const paths = ['/a/{*}/{**}', '/{**}/b', '/a{*}', '/{**}/{*}', '/{x}/b', 'a/{*}', '/{*}/b*'];
  const bad = paths.filter((path) =>
    says(
      `${head('AuthorizationPolicy', 'p').replace('gateway.networking.k8s.io', 'security.istio.io')}spec: {targetRefs: [{group: "", kind: Service, name: cart}], rules: [{to: [{operation: {paths: ["${path}"]}}]}]}\n`,
    ).includes('whole segments'),
  );
  expect(bad).toEqual(['/a{*}', '/{**}/{*}', '/{x}/b', 'a/{*}', '/{*}/b*']);
});

test('an aimed policy that is refused denies everything', () => {
  const made = built(policy('targetRefs: [{kind: Service, group: "", name: cart}], rules: [{form: []}]'));
  expect(made.report.faults).toHaveLength(1);
  expect([...made.routes.values()]).toMatchObject([
    { kind: 'AuthorizationPolicy', targets: [{ name: 'cart' }], action: 'deny', refused: expect.any(String) },
  ]);
});

test('and one whose target is written without a list, at that target', () => {
  const made = built(policy('targetRefs: {kind: Service, group: "", name: cart}, action: DENY, rules: [{}]'));
  expect(made.report.faults).toHaveLength(1);
  expect([...made.routes.values()]).toMatchObject([{ targets: [{ name: 'cart' }], refused: expect.any(String) }]);
});

test('what is gone is gone, and what is said again is no change', () => {
  const made = built(route('{}'));
  expect(made.changes.map(({ kind }) => kind)).toEqual(['put-route']);
  expect(made.builder.update([['HTTPRoute shop/r', undefined]])).toEqual([
    { kind: 'remove-route', key: 'HTTPRoute shop/r' },
  ]);
});
