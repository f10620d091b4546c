// SPDX-License-Identifier: Apache-2.0
// The conformance suite's test of CORS, with a Service as parent.
import type { Behaviour, Row } from './table.ts';

const v1 = '{name: v1, port: 80}';
const cors = (path: string, spec: string) =>
  `{matches: [{path: {value: ${path}}}], filters: [{type: CORS, cors: {${spec}}}], backendRefs: [${v1}]}`;
const preflight = (path: string, origin: string, method: string, headers?: string): Pick<Row, 'ask' | 'with'> => ({
  ask: `OPTIONS ${path}`,
  with: {
    origin,
    'access-control-request-method': method,
    ...(headers !== undefined && { 'access-control-request-headers': headers }),
  },
});
const [origin, credentials] = ['access-control-allow-origin', 'access-control-allow-credentials'];
const [methods, allowed] = ['access-control-allow-methods', 'access-control-allow-headers'];

export const cross: readonly Behaviour[] = [
  {
    test: 'HTTPRouteCORS',
    says: 'who may ask from elsewhere is told so, by a preflight and by the answer itself',
    routes: `rules:
      - ${cors('/cors-1', 'allowOrigins: ["https://www.foo.com", "https://*.bar.com"], allowMethods: [GET, OPTIONS], allowHeaders: [x-header-1, x-header-2], exposeHeaders: [x-header-3, x-header-4], allowCredentials: true, maxAge: 3600')}
      - ${cors('/cors-2', 'allowOrigins: ["https://www.foo.com"], allowMethods: ["*"]')}
      - ${cors('/any-origin', 'allowOrigins: ["*"], allowMethods: [PUT], allowCredentials: false')}
      - ${cors('/all', 'allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], allowCredentials: true')}
      - ${cors('/all-without', 'allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], allowCredentials: false')}`,
    rows: [
      ...['https://www.foo.com', 'https://www.bar.com', 'https://xpto.www.bar.com'].map(
        (from): Row => ({
          ...preflight('/cors-1', from, 'GET', 'x-header-1, x-header-2'),
          gets: {
            status: 200,
            headers: {
              [origin]: from,
              [methods]: 'GET,OPTIONS',
              [allowed]: 'x-header-1,x-header-2',
              'access-control-expose-headers': 'x-header-3,x-header-4',
              'access-control-max-age': '3600',
              [credentials]: 'true',
            },
          },
        }),
      ),
      { ...preflight('/cors-1', 'https://foobar.com', 'GET'), gets: { headers: { [origin]: null } } },
      ...['https://www.foo.com', 'https://www.bar.com'].map(
        (from): Row => ({
          ask: '/cors-1',
          with: { origin: from },
          gets: { status: 200, pod: 'v1', headers: { [origin]: from } },
        }),
      ),
      { ask: '/cors-1', with: { origin: 'https://foobar.com' }, gets: { headers: { [origin]: null } } },
      {
        ...preflight('/cors-2', 'https://www.foo.com', 'POST'),
        gets: {
          status: 200,
          headers: { [origin]: 'https://www.foo.com', [methods]: /^(POST|\*)$/, [credentials]: null },
        },
      },
      ...['https://foobar.com', 'https://foobar.com:12345'].flatMap((from): Row[] => [
        {
          ...preflight('/any-origin', from, 'PUT'),
          gets: { status: 200, headers: { [origin]: either(from), [methods]: 'PUT', [credentials]: null } },
        },
        {
          ask: 'PUT /any-origin',
          with: { origin: from },
          gets: { status: 200, pod: 'v1', headers: { [origin]: either(from), [credentials]: null } },
        },
      ]),
      {
        ...preflight('/all', 'https://other.foo.com', 'PUT', 'x-header-1, x-header-2'),
        gets: {
          status: 200,
          headers: {
            [origin]: 'https://other.foo.com',
            [methods]: 'PUT',
            [allowed]: 'x-header-1, x-header-2',
            [credentials]: 'true',
          },
        },
      },
      {
        ...preflight('/all-without', 'https://other.foo.com', 'PUT', 'x-header-1, x-header-2'),
        gets: {
          status: 200,
          headers: {
            [origin]: either('https://other.foo.com'),
            [methods]: /^(PUT|\*)$/,
            [allowed]: /^(x-header-1, ?x-header-2|\*)$/,
            [credentials]: null,
          },
        },
      },
      {
        ask: '/all',
        with: { origin: 'https://other.foo.com' },
        gets: { status: 200, pod: 'v1', headers: { [origin]: 'https://other.foo.com', [credentials]: 'true' } },
      },
      {
        ask: '/all-without',
        with: { origin: 'https://other.foo.com' },
        gets: { status: 200, pod: 'v1', headers: { [origin]: either('https://other.foo.com'), [credentials]: null } },
      },
    ],
  },
];

/** The origin, or that any may. */
function either(from: string): RegExp {
  return new RegExp(`^(${from.replaceAll('.', '\\.')}|\\*)$`);
}
