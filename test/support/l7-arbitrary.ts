// SPDX-License-Identifier: Apache-2.0
// Random routes, policies and balancers as documents: their shape is right, their texts and numbers are whatever somebody may write.
import fc from 'fast-check';

type Doc = Readonly<Record<string, unknown>>;

/** At the limits of what is read here, and of what RE2 compiles. */
const long = [
  `/${'a/'.repeat(1023)}`,
  '/'.repeat(2048),
  '-'.repeat(2048),
  '\u20ac'.repeat(2048),
  '\u20ac'.repeat(6000),
  '%'.repeat(8192),
  '[a-z]{300}',
  '\\pL{50}',
  'x'.repeat(70_000),
];
const odd = [
  ...[
    'a',
    'A-b',
    '/',
    '/a',
    '/a/b/',
    '/a b',
    '/%',
    '/%20',
    '/{*}',
    '/{**}',
    '/{*}/b/{**}',
    '/a{b}',
    '/a*',
    '*',
    '*/a',
    '/\u00e9',
  ],
  ...[
    ' ',
    '\u00e9',
    '\ud83d\ude00',
    '"',
    "'",
    '\\',
    '\\1',
    '%',
    '%%',
    '%REQ(:path)%',
    '%START_TIME%',
    ':path',
    ':authority',
  ],
  ...[
    'host',
    'Host',
    'connection',
    'transfer-encoding',
    'content-length',
    'x-envoy-retry-on',
    'te',
    'upgrade',
    'set-cookie',
  ],
  ...['.*', '(a|b)+', '[a-z]{1,9}', '(?i)x', '(?P<n>a)', '\\d+', 'a{99}', '^$', '()', 'a||b'],
  ...[
    'a.b',
    '*.a.b',
    'a.b:80',
    'localhost',
    '10.0.0.1',
    'https://a.b',
    'http://*.a.b:81',
    'https://*',
    'null',
    'a..b',
    '-',
  ],
  ...[
    'x'.repeat(300),
    '/'.repeat(40),
    `/${'a/'.repeat(400)}`,
    'a\tb',
    'a;b=c',
    'a=b',
    'a,b',
    '1',
    'true',
    'spiffe://a/ns/b/sa/c',
    'td/ns/*',
  ],
];
const text = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...odd, ...long) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 12, unit: 'binary' }) },
);
const word = fc.constantFrom(
  'a',
  'X-B',
  'c-d',
  'host',
  'Host',
  'x-envoy-max-retries',
  'te',
  'connection',
  'Content-Length',
  'cookie',
  "!#$%&'*+-.^_`|~",
  'x'.repeat(256),
);
const path = fc.oneof(
  text,
  fc.constantFrom('/', '/a', '/a/', '/a/b', '/a%41', '/\u00e9', '/a;b', '/a$', '/a(b', '/a[b]'),
);
const length = fc.constantFrom('0s', '1ms', '10ms', '1s', '90s', '1h', '99999h', '99999h99999m', '0h');
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>, maxLength = 3, minLength = 0) =>
  fc.array(arbitrary, { maxLength, minLength });

const pair = fc.record({
  name: fc.oneof({ weight: 12, arbitrary: word }, { weight: 1, arbitrary: text }),
  value: text,
});
const headers = fc.record({ set: maybe(few(pair)), add: maybe(few(pair)), remove: maybe(few(word)) });
const backendNames = ['s0', 's1', 's2', 'none'];
const bare = fc.record({ name: fc.constantFrom(...backendNames), port: fc.constantFrom(80, 81, 90) });
const pathChange = fc.oneof(
  fc.record({ type: fc.constant('ReplaceFullPath'), replaceFullPath: path }),
  fc.record({ type: fc.constant('ReplacePrefixMatch'), replacePrefixMatch: path }),
);
const status = fc.constantFrom(301, 302, 303, 307, 308);

const origin = fc.constantFrom(
  '*',
  'https://a.b',
  'http://*.a.b:81',
  'https://*',
  'app://x',
  'http://a.b:80',
  'https://[::1]:8443',
  'http://A_b.c',
);

const modifier = fc.oneof(
  fc.record({ type: fc.constant('RequestHeaderModifier'), requestHeaderModifier: headers }),
  fc.record({ type: fc.constant('ResponseHeaderModifier'), responseHeaderModifier: headers }),
);
const httpFilter = fc.oneof(
  fc.record({ type: fc.constant('RequestHeaderModifier'), requestHeaderModifier: headers }),
  fc.record({ type: fc.constant('ResponseHeaderModifier'), responseHeaderModifier: headers }),
  fc.record({
    type: fc.constant('RequestMirror'),
    requestMirror: fc.record({ backendRef: bare, percent: maybe(fc.integer({ min: 0, max: 100 })) }),
  }),
  fc.record({
    type: fc.constant('RequestMirror'),
    requestMirror: fc.record({
      backendRef: bare,
      fraction: fc.record({
        numerator: fc.constantFrom(0, 1, 2_147_483_647),
        denominator: fc.constantFrom(1, 3, 2_147_483_647),
      }),
    }),
  }),
  fc.record({
    type: fc.constant('RequestRedirect'),
    requestRedirect: fc.record({
      scheme: maybe(fc.constantFrom('http', 'https')),
      hostname: maybe(text),
      path: maybe(pathChange),
      port: maybe(fc.constantFrom(1, 80, 443, 65_535)),
      statusCode: maybe(status),
    }),
  }),
  fc.record({
    type: fc.constant('URLRewrite'),
    urlRewrite: fc.record({ hostname: maybe(text), path: maybe(pathChange) }),
  }),
  fc.record({
    type: fc.constant('CORS'),
    cors: fc.record({
      allowOrigins: maybe(few(origin)),
      allowMethods: maybe(few(fc.constantFrom('GET', 'PUT', 'PATCH'))),
      allowHeaders: maybe(few(fc.oneof(word, fc.constant('*')))),
      exposeHeaders: maybe(few(fc.oneof(word, fc.constant('*')))),
      maxAge: maybe(fc.constantFrom(1, 5, 2_147_483_647)),
      allowCredentials: maybe(fc.boolean()),
    }),
  }),
  fc.record({ type: fc.constant('ExtensionRef'), extensionRef: fc.record({ group: text, kind: word, name: word }) }),
);

const named = fc.record({
  type: maybe(fc.constantFrom('Exact', 'RegularExpression')),
  name: fc.oneof({ weight: 12, arbitrary: word }, { weight: 1, arbitrary: text }),
  value: text,
});
const match = fc.record({
  path: maybe(
    fc.record({ type: maybe(fc.constantFrom('Exact', 'PathPrefix', 'RegularExpression')), value: maybe(path) }),
  ),
  headers: maybe(few(named)),
  queryParams: maybe(few(named)),
  method: maybe(fc.constantFrom('GET', 'POST', 'CONNECT', 'TRACE', 'PATCH', 'HEAD')),
});
const weight = fc.constantFrom(undefined, 0, 1, 7, 1_000_000);
const session = fc.record({
  sessionName: maybe(
    fc.oneof(
      {
        weight: 9,
        arbitrary: fc.constantFrom('s', 'S-1', 'cookie', 'host', 'content-length', "!#$%&'*+-.^_`|~", 'x'.repeat(128)),
      },
      { weight: 1, arbitrary: text },
    ),
  ),
  type: maybe(fc.constantFrom('Cookie', 'Header')),
  absoluteTimeout: maybe(length),
  cookieConfig: maybe(fc.record({ lifetimeType: fc.constantFrom('Permanent', 'Session') })),
});
const rule = fc.record({
  name: maybe(text),
  matches: maybe(few(match)),
  filters: maybe(few(httpFilter, 2)),
  backendRefs: maybe(
    few(
      fc.record({
        name: fc.constantFrom(...backendNames),
        port: fc.constantFrom(80, 81),
        weight,
        filters: maybe(few(httpFilter, 1)),
      }),
      2,
    ),
  ),
  timeouts: maybe(fc.record({ request: maybe(length), backendRequest: maybe(length) })),
  retry: maybe(
    fc.record({
      codes: maybe(few(fc.integer({ min: 400, max: 599 }))),
      attempts: maybe(fc.constantFrom(0, 1, 1000)),
      backoff: maybe(length),
    }),
  ),
  sessionPersistence: maybe(session),
});

const grpcName = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'a.b', 'Foo', 'x_y', '[a-z]+', 'a|b') },
  { weight: 1, arbitrary: text },
);
const grpcMethod = fc.record({
  type: maybe(fc.constantFrom('Exact', 'RegularExpression')),
  service: maybe(grpcName),
  method: maybe(grpcName),
});
const grpcRule = fc.record({
  matches: maybe(few(fc.record({ method: maybe(grpcMethod), headers: maybe(few(named)) }))),
  filters: maybe(few(modifier, 1)),
  backendRefs: maybe(few(fc.record({ name: fc.constantFrom(...backendNames), port: fc.constantFrom(80, 81), weight }))),
  sessionPersistence: maybe(session),
});
const streamRule = fc.record({
  backendRefs: few(fc.record({ name: fc.constantFrom(...backendNames), port: fc.constantFrom(80, 81), weight }), 3, 1),
});

const values = maybe(few(text));
const sources = fc.record({
  principals: values,
  notPrincipals: values,
  namespaces: values,
  notNamespaces: values,
  ipBlocks: maybe(few(fc.constantFrom('10.0.0.0/8', '1.2.3.4', '::/0', 'fd00::/7', '0.0.0.0/0'))),
  remoteIpBlocks: maybe(few(fc.constantFrom('10.0.0.0/8', '::1', '0.0.0.0/0'))),
  requestPrincipals: values,
});
const policyPath = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '/a',
      '/a/*',
      '*/a',
      '*',
      '/',
      '/{*}',
      '/a/{*}/b',
      '/{**}',
      '/a/{**}/b',
      '/{*}/{*}/{**}',
      '/a.b$c(',
      '/%2f',
      '//',
      `/${'a/'.repeat(400)}`,
    ),
  },
  { weight: 1, arbitrary: text },
);
const operations = fc.record({
  hosts: values,
  notHosts: values,
  ports: maybe(few(fc.constantFrom('80', '0', '65535', '8080'))),
  methods: values,
  notMethods: values,
  paths: maybe(few(policyPath)),
  notPaths: maybe(few(policyPath)),
});
const addresses = fc.constantFrom('10.0.0.1', '10.0.0.0/8', '::1', 'fd00::/8');
const conditionOn = (key: fc.Arbitrary<string>, value: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.record({ key, values: few(value, 3, 1), notValues: maybe(few(value)) }),
    fc.record({ key, notValues: few(value, 3, 1) }),
  );
const condition = fc.oneof(
  conditionOn(
    fc.oneof(
      word.map((name) => `request.headers[${name}]`),
      fc.constant('request.headers[:path]'),
    ),
    text,
  ),
  conditionOn(
    fc.constantFrom('source.namespace', 'source.principal', 'connection.sni', 'request.auth.claims[a]'),
    text,
  ),
  conditionOn(fc.constantFrom('source.ip', 'destination.ip', 'remote.ip'), addresses),
  conditionOn(fc.constant('destination.port'), fc.constantFrom('0', '80', '65535')),
);
const policyRules = few(
  fc.record({
    from: maybe(few(fc.record({ source: sources }), 2, 1)),
    to: maybe(few(fc.record({ operation: operations }), 2, 1)),
    when: maybe(few(condition, 2)),
  }),
);

const hashing = fc.oneof(
  fc.record({ httpHeaderName: fc.oneof(word, text) }),
  fc.record({ httpQueryParameterName: text }),
  fc.record({ httpCookie: fc.record({ name: fc.oneof(word, text), ttl: maybe(length), path: maybe(path) }) }),
  fc.constant({ useSourceIp: true }),
);

const parent = (service: string) => [{ group: '', kind: 'Service', name: service }];

/** Documents that are for `service` of namespace shop. */
export const documentsFor = (service: string): fc.Arbitrary<readonly Doc[]> => {
  const metadata = { name: service, namespace: 'shop' };
  const gatewayApi = (kind: string, rules: fc.Arbitrary<unknown>, hostnames?: fc.Arbitrary<unknown>) =>
    fc.record({ rules, hostnames: hostnames ?? fc.constant(undefined) }).map(
      (spec): Doc => ({
        apiVersion: `gateway.networking.k8s.io/${kind === 'HTTPRoute' || kind === 'GRPCRoute' ? 'v1' : 'v1alpha2'}`,
        ...{ kind, metadata, spec: { parentRefs: parent(service), ...spec } },
      }),
    );
  const policy = fc.record({ action: fc.constantFrom('ALLOW', 'DENY'), rules: policyRules }).map(
    (spec): Doc => ({
      ...{ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata },
      spec: { targetRefs: parent(service), ...spec },
    }),
  );
  const balancer = hashing.map(
    (consistentHash): Doc => ({
      ...{ apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata },
      spec: { host: `${service}.shop.svc.cluster.local`, trafficPolicy: { loadBalancer: { consistentHash } } },
    }),
  );
  const route = fc.oneof(
    { weight: 6, arbitrary: gatewayApi('HTTPRoute', few(rule, 2, 1)) },
    { weight: 2, arbitrary: gatewayApi('GRPCRoute', few(grpcRule, 3, 1)) },
    {
      weight: 1,
      arbitrary: gatewayApi(
        'TLSRoute',
        few(streamRule, 1, 1),
        few(fc.constantFrom('a.b', '*.a.b', 'x.localhost', 'b'), 2),
      ),
    },
    { weight: 1, arbitrary: gatewayApi('TCPRoute', few(streamRule, 1, 1)) },
  );
  return fc.tuple(route, maybe(policy), maybe(balancer)).map((all) => all.filter((one) => one !== undefined));
};
