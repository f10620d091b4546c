// SPDX-License-Identifier: Apache-2.0
// docs/conformance.md is what the tables say: `npx vitest run --project rules test/conformance.test.ts -u` writes it anew.
import { expect, test } from 'vitest';
import { backendFilters } from './support/conformance/backend-filters.ts';
import { cross } from './support/conformance/cors.ts';
import { grants } from './support/conformance/grants.ts';
import { http } from './support/conformance/http.ts';
import { httpFilters } from './support/conformance/http-filters.ts';
import { httpTime } from './support/conformance/http-time.ts';
import { mesh } from './support/conformance/mesh.ts';
import { meshFilters } from './support/conformance/mesh-filters.ts';
import { streams } from './support/conformance/streams.ts';
import { left, release, sameAs } from './support/conformance/suite.ts';
import { type Behaviour, ownService } from './support/conformance/table.ts';

const files: readonly (readonly [title: string, file: string, behaviours: readonly Behaviour[]])[] = [
  ['Tests for meshes', 'conformance-mesh', [...mesh, ...meshFilters]],
  ['HTTPRoutes', 'conformance-http', [...http, ...httpFilters, ...backendFilters, ...cross, ...httpTime]],
  ['GRPCRoutes, TLSRoutes and TCPRoutes', 'conformance-streams', streams],
  ['ReferenceGrants (`--require-grants`)', 'conformance-grants', grants],
];
const all = files.flatMap(([, , behaviours]) => behaviours);
const isOfSuite = ({ test }: Behaviour): boolean => /^\w+$/.test(test);

function page(): string {
  const rows = all.reduce((sum, behaviour) => sum + behaviour.rows.length, 0);
  return [
    '# Conformance with the Gateway API',
    '',
    `What the Gateway API's conformance suite (${release}, and what was added until August 2026) asks of routes, as tables of our own: routes and a request go in, backend and headers come out. Each of the ${rows} requests goes`,
    'the whole way over IPv4 and over IPv6: a process in a namespace dials a service, the kernel leads the connection to a stock Envoy and writes the PROXY header, our control plane',
    'has told that Envoy of the routes, and a pod says what reached it. The conditions of every route are compared, too. A request that must be answered so is a row in',
    '`test/support/conformance/`; the tests are `test/interop/conformance-*.test.ts`. This page is made from the tables, and a test holds it equal to them.',
    '',
    'All of them hold. Beside the tables, routes and requests are drawn at random, and the rule that answers is compared with what the Gateway API says of precedence',
    '(`test/interop/conformance-random.test.ts`). It is not the suite itself that is run: that needs a cluster with a controller that writes conditions into its objects.',
    ...files.flatMap(([title, file, behaviours]) => [
      '',
      `## ${title}`,
      '',
      `\`test/interop/${file}.test.ts\`. Names in plain words are rules of the Gateway API that no test of the suite is about.`,
      '',
      '| test | what it says | requests |',
      '|---|---|---|',
      ...behaviours.map(
        (one) => `| ${isOfSuite(one) ? `\`${one.test}\`` : one.test} | ${one.says} | ${one.rows.length} |`,
      ),
    ]),
    '',
    '## The same for gateways and meshes',
    '',
    'These tests of gateways ask for what a test above does:',
    '',
    ...Object.entries(sameAs).map(
      ([name, as]) => `- \`${name}\`: ${/^\w+$/.test(as) ? `\`${as}\`` : as.toLowerCase()}`,
    ),
    '',
    '## What is left out',
    '',
    ...left.flatMap(({ why, tests }) => [`- ${why}: ${tests.map((name) => `\`${name}\``).join(', ')}.`]),
    '- Tests of Gateway, GatewayClass, ListenerSet and BackendTLSPolicy: a waypoint takes connections as nodes send them, and speaks to backends as clients do.',
    '',
  ].join('\n');
}

test('the page says what the tables say', async () => {
  await expect(page()).toMatchFileSnapshot('../docs/conformance.md');
});

test('each behaviour has one name and one service', () => {
  for (const [, , behaviours] of files) {
    const services = behaviours.map(ownService);
    expect(services.filter((name, i) => services.indexOf(name) !== i || name.length > 63)).toEqual([]);
  }
});

test('each test of the suite is in one place', () => {
  const placed = [...all.map((one) => one.test), ...left.flatMap(({ tests }) => tests)];
  const twice = [...placed, ...Object.keys(sameAs)].filter((name, i, names) => names.indexOf(name) !== i);
  expect(twice).toEqual([]);
  expect(Object.values(sameAs).filter((name) => !placed.includes(name))).toEqual([]);
});
