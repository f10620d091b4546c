// SPDX-License-Identifier: Apache-2.0
// `authz check`: what it says of policies in files, how it answers, and its exit codes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { program } from '../../src/cli/program.ts';
import { dedent } from '../source/file/texts.ts';
import { runLine } from './program.ts';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kmesh-authz-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const policy = (name: string, spec: string, meta = '') => `
  apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: ${name}, namespace: shop${meta}}
  spec: {${spec}}
`;
const deployment = (name: string, account = name) => `
  apiVersion: apps/v1
  kind: Deployment
  metadata: {name: ${name}, namespace: shop}
  spec: {template: {metadata: {labels: {app: ${name}}}, spec: {serviceAccountName: ${account}, containers: [
    {name: c, ports: [{name: http, containerPort: 8080}]}]}}}
`;
const service = `
  apiVersion: v1
  kind: Service
  metadata: {name: cart, namespace: shop}
  spec: {selector: {app: cart}, clusterIP: 10.96.0.10, ports: [{port: 80, targetPort: http}]}
`;
const dry = ', annotations: {istio.io/dry-run: "true"}';
const shop = [deployment('cart'), deployment('frontend'), service];

/** Runs it over documents, and a file of cases when there is one. */
async function check(documents: readonly string[], options: { cases?: string; flags?: string[] } = {}) {
  writeFileSync(join(root, 'a.yaml'), documents.map(dedent).join('---\n'));
  const flags = [...(options.flags ?? [])];
  if (options.cases !== undefined) {
    writeFileSync(join(root, 'cases.yaml'), dedent(options.cases));
    flags.push('--expect', join(root, 'cases.yaml'));
  }
  const { code, stdout, stderr } = await runLine(program, ['authz', 'check', root, ...flags], { root: false });
  const plain = (text: string) => text.replaceAll(`${root}/`, '');
  return { code, stdout: plain(stdout), stderr: plain(stderr), lines: plain(stdout).trimEnd().split('\n') };
}

/** What is said of policies, without the summary. */
const said = async (...documents: string[]) => (await check(documents)).lines.slice(0, -1);

describe('lints', () => {
  test('nothing to say of good policies, whether or not workloads are among the files', async () => {
    const good = policy(
      'cart',
      'selector: {matchLabels: {app: cart}}, rules: [{from: [{source: {serviceAccounts: [frontend]}}]}]',
    );
    expect(await said(good)).toEqual([]);
    expect(await said(good, ...shop)).toEqual([]);
    const { lines, code } = await check([good, ...shop]);
    expect({ lines, code }).toEqual({ code: 0, lines: ['1 file, 1 policy, 2 workloads, 0 faults, 0 warnings'] });
  });

  test('a policy that selects nobody, or whose namespace has no workload', async () => {
    const none = policy('none', 'selector: {matchLabels: {app: crat}}, rules: [{}]');
    const mode = none.replace('AuthorizationPolicy', 'PeerAuthentication').replace(', rules: [{}]', '');
    const elsewhere = policy('all', 'rules: [{}]').replace('shop', 'other');
    const [first, second, third] = await said(none, elsewhere, mode, ...shop);
    expect(first).toBe(
      'a.yaml:3:18: warning: AuthorizationPolicy shop/none: spec.selector.matchLabels: selects nobody: no workload of namespace shop has app=crat',
    );
    expect(second).toContain('holds for nobody: namespace other has no workload in these files');
    expect(third).toContain('PeerAuthentication shop/none: spec.selector.matchLabels: selects nobody');
    expect(await said(none)).toEqual([]);
  });

  test('a policy that is aimed at what is not there, or has no waypoint', async () => {
    const aimed = (target: string) =>
      policy(
        'aimed',
        `targetRefs: [{kind: Service, name: ${target}}], action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]`,
      );
    expect(await said(aimed('kart'), ...shop)).toEqual([
      'a.yaml:3:18: warning: AuthorizationPolicy shop/aimed: spec.targetRefs[0]: Service shop/kart is not there: nothing is judged',
    ]);
    expect(await said(aimed('cart'), ...shop)).toEqual([expect.stringContaining('the service has no waypoint')]);
    const using = service.replace('namespace: shop', 'namespace: shop, labels: {istio.io/use-waypoint: w}');
    expect(await said(aimed('cart'), using)).toEqual([expect.stringContaining('Gateway shop/w is not there')]);
    expect(await said(aimed('kart'))).toEqual([]);
  });

  test('rules that others decide before them', async () => {
    const ports = (...list: number[]) => `{to: [{operation: {ports: [${list.map((p) => `"${p}"`).join()}]}}]}`;
    const from = (fields: string) => `{from: [{source: {${fields}}}]}`;
    const lines = await said(
      policy('a', `rules: [${ports(80, 81)}, ${ports(80)}]`),
      policy('b', `rules: [${from('namespaces: ["sh*"]')}, ${from('principals: [cluster.local/ns/shop/sa/cart]')}]`),
      policy('c', `action: DENY, rules: [${from('ipBlocks: [10.0.0.0/8]')}]`),
      policy(
        'd',
        `rules: [${from('ipBlocks: [10.1.0.0/16, 10.2.0.1]')}, ${from('ipBlocks: [10.1.0.0/16, 11.0.0.1]')}]`,
      ),
      policy('e', `action: DENY, rules: [${from('ipBlocks: [10.3.0.0/16]')}]`, dry),
      policy('f', `rules: [${ports(90)}]`),
      policy('g', `rules: [${ports(90)}]`),
      ...shop,
    );
    expect(lines.map((line) => line.replace(/^.*AuthorizationPolicy shop\//, ''))).toEqual([
      'a: spec.rules[1]: decides nothing: rules[0] of shop/a allows all of it already',
      'b: spec.rules[1]: decides nothing: rules[0] of shop/b allows all of it already',
      'd: spec.rules[0]: never allows anything: rules[0] of shop/c denies all of it',
      'e: spec.rules[0]: decides nothing: rules[0] of shop/c denies all of it already',
      'g: spec.rules[0]: decides nothing: rules[0] of shop/f allows all of it already',
    ]);
  });

  test('what holds for fewer workloads does not shadow what holds for more', async () => {
    const some = policy('some', 'action: DENY, selector: {matchLabels: {app: cart}}, rules: [{}]');
    const all = policy('all', 'rules: [{to: [{operation: {ports: ["80"]}}]}]');
    expect(await said(some, all, ...shop)).toEqual([]);
    const cart = policy('cart', 'selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {ports: ["80"]}}]}]');
    expect((await said(some, cart, ...shop))[0]).toContain('shop/cart: spec.rules[0]: never allows anything');
  });

  test('names that nobody has', async () => {
    const rules = (...lists: string[]) => `rules: [${lists.map((list) => `{from: [{source: {${list}}}]}`).join()}]`;
    const lines = await said(
      policy(
        'p',
        rules(
          'principals: [spiffe://cluster.local/ns/shop/sa/cart]',
          'principals: [cart]',
          'principals: [cluster.local/ns/shop/sa/crat]',
          'serviceAccounts: [nobody, elsewhere/x]',
          'principals: ["cluster.local/ns/other/*", cluster.local/ns/elsewhere/sa/x]',
        ),
      ),
      ...shop,
    );
    expect(lines.map((line) => line.replace(/^.*spec\./, ''))).toEqual([
      "rules[0]: principal spiffe://cluster.local/ns/shop/sa/cart is nobody's: principals are written without spiffe://",
      "rules[1]: principal cart is nobody's: it is no DOMAIN/ns/NAMESPACE/sa/ACCOUNT",
      'rules[2]: no workload in these files is principal cluster.local/ns/shop/sa/crat',
      'rules[3]: no workload in these files runs as service account shop/nobody',
    ]);
  });

  test('a dry run that was forgotten', async () => {
    const old = policy('old', 'rules: [{}]', `${dry}, creationTimestamp: 1969-10-01T00:00:00Z`);
    const recent = policy('new', 'rules: [{}]', `${dry}, creationTimestamp: 1969-12-24T00:00:00Z`);
    const lines = (await said(old, recent)).filter((line) => line.includes('dry-run'));
    expect(lines).toEqual([
      'a.yaml:3:18: warning: AuthorizationPolicy shop/old: metadata.annotations["istio.io/dry-run"]: is a dry run, of a policy that is 92 days old: enforce it or remove it',
    ]);
  });

  test('DENY by HTTP attributes alone: a warning, with --strict a failure, with --strict-l7-deny a fault and closed', async () => {
    const post = policy(
      'post',
      'action: DENY, rules: [{from: [{source: {namespaces: [x]}}], to: [{operation: {methods: [POST]}}]}]',
    );
    const question = ['--from', 'shop/frontend', '--to', 'shop/cart:8080'];
    const plain = await check([post, ...shop], { flags: question });
    expect(plain.code).toBe(0);
    expect(plain.lines[0]).toMatch(/^a\.yaml:4:.*warning: .*: NEVER DENIES ANYTHING/);
    expect(plain.stdout).toMatch(/shop\/frontend +shop\/cart:8080 +allow +no ALLOW policy holds for it/);
    const strict = await check([post], { flags: ['--strict'] });
    expect({ code: strict.code, stderr: strict.stderr }).toEqual({
      code: 1,
      stderr: 'error KM_CHECK_FAILED: policies: 1 warning\n',
    });
    const closed = await check([post, ...shop], { flags: ['--strict-l7-deny', ...question] });
    expect(closed.code).toBe(1);
    expect(closed.stdout).toContain(
      'fault: AuthorizationPolicy shop/post: spec.rules[0]: the policy is refused, and what it holds for is closed: it rests on HTTP attributes',
    );
    expect(closed.stdout).toMatch(/deny +closed by shop\/post: it rests on HTTP attributes/);
  });

  test('what the agent would refuse is a fault with its place', async () => {
    const { code, lines } = await check([policy('p', 'rules: [{from: [{source: {principal: [x]}}]}]')]);
    expect(code).toBe(1);
    expect(lines[0]).toMatch(
      /^a\.yaml:4:\d+: fault: AuthorizationPolicy shop\/p: spec\.rules\[0\]\.from\[0\]\.source\.principal: is no field/,
    );
    const gone = await runLine(program, ['authz', 'check', join(root, 'gone')]);
    expect(gone.code).toBe(1);
    expect(gone.stdout).toContain('gone: fault:');
  });
});

const policies = [
  policy('nothing', ''),
  policy(
    'cart',
    'selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {serviceAccounts: [frontend]}}], to: [{operation: {ports: ["8080"]}}]}]',
  ),
  policy(
    'trial',
    'selector: {matchLabels: {app: cart}}, action: DENY, rules: [{from: [{source: {ipBlocks: [10.9.0.0/16]}}]}]',
    dry,
  ),
];

describe('cases', () => {
  test('each way to name who connects to whom', async () => {
    const cases = `
      pods: 10.1.0.0/16
      cases:
        - {from: shop/frontend, to: shop/cart, port: 8080, expect: allow}
        - {name: service, from: shop/frontend, to: {service: shop/cart}, port: 80, expect: allow}
        - {name: account, from: {namespace: shop, serviceAccount: frontend}, to: {workload: shop/cart}, port: 8080, expect: allow}
        - {name: default account, from: {namespace: shop}, to: shop/cart, port: 8080, expect: deny}
        - {name: other domain, from: {namespace: shop, serviceAccount: frontend, trustDomain: x}, to: shop/cart, port: 8080, expect: allow}
        - {name: nobody, from: 192.0.2.1, to: shop/cart, port: 8080, protocol: udp, expect: deny}
        - {name: dry, from: shop/frontend@10.9.0.1, to: shop/cart, port: 8080, expect: allow, dryRun: deny}
        - {name: not yet there, from: {ip: "2001:db8::1"}, to: {namespace: shop, labels: {app: cart}}, port: 8080, expect: deny}
        - {name: not selected, from: shop/frontend, to: {namespace: other, labels: {app: cart}}, port: 8080, expect: allow}
    `;
    const { code, stdout, stderr } = await check([...policies, ...shop], { cases, flags: ['-o', 'yaml'] });
    const result = parse(stdout);
    expect(
      result.cases.map(({ name, failed }: Record<string, string>) => [name, failed]).filter(([, f]: string[]) => f),
    ).toEqual([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(result.cases[0]).toEqual({
      name: '',
      place: 'cases.yaml:3:5',
      from: 'shop/frontend',
      to: 'shop/cart:8080',
      expect: 'allow',
      failed: '',
      // The rule by its place in the document, although the one before it is left out.
      told: {
        verdict: 'allow',
        why: 'allow',
        by: { policy: 'shop/cart', action: 'allow', rule: 1, place: 'a.yaml:8:18' },
        nearest: [],
      },
    });
  });

  test('one that is not as expected is told with its place, what decided, and what came nearest', async () => {
    const cases = `
      - {name: wrong port, from: shop/frontend@10.1.0.1, to: shop/cart, port: 81, expect: allow}
      - {name: dry, from: shop/frontend@10.1.0.1, to: shop/cart, port: 8080, expect: allow, dryRun: deny}
    `;
    const { code, lines, stderr } = await check([...policies, ...shop], { cases });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'error KM_CHECK_FAILED: policies: 2 cases of 2 not as expected\n',
    });
    expect(lines.slice(-6)).toEqual([
      'cases.yaml:1:3: case: wrong port: expected allow, it is deny',
      '  ALLOW policies hold for it, and none matches',
      '  nearest: ALLOW shop/cart rules[1] (a.yaml:8:18) asks for port 8080',
      'cases.yaml:2:3: case: dry: expected deny with dry runs enforced, it would be allow',
      '  ALLOW shop/cart rules[1] (a.yaml:8:18)',
      expect.stringContaining('0 of 2 cases as expected'),
    ]);
  });

  test.each([
    ['from: shop/fronted, to: shop/cart, port: 1', 'no workload is called shop/fronted, did you mean shop/frontend?'],
    ['from: 10.0.0.1, to: {service: shop/crat}, port: 1', 'no service is called shop/crat'],
    ['from: 10.0.0.1, to: {service: shop/cart}, port: 1', 'service shop/cart has no port 1/tcp'],
    ['from: shop/frontend, to: shop/cart, port: 8080', 'policies of shop/cart ask for the address of the source'],
  ])('no answer: %s', async (fields, why) => {
    const { code, stdout } = await check([...policies, ...shop], { cases: `- {${fields}, expect: allow}` });
    expect(code).toBe(1);
    expect(stdout).toContain(`cases.yaml:1:3: case: ${why}`);
  });

  test('an address from the range of pods stands for all of them only where policies do not tell them apart', async () => {
    const cases = (range: string) =>
      `{pods: ${range}, cases: [{from: shop/frontend, to: shop/cart, port: 8080, expect: allow}]}`;
    expect((await check([...policies, ...shop], { cases: cases('10.8.0.0/16') })).code).toBe(0);
    expect((await check([...policies, ...shop], { cases: cases('[10.8.0.0/15]') })).stdout).toContain(
      'ask for the address',
    );
  });

  test('what is wrong with a file of cases has its place', async () => {
    const cases = `
      cases:
        - {from: {}, to: shop/cart, port: 80, expect: allow}
        - {from: shop, to: {namespace: shop}, port: 0, expect: maybe}
        - {from: {serviceAccount: x}, to: {}, port: 80, expect: deny, exepct: deny}
        - {to: shop/cart}
    `;
    const { code, lines } = await check(shop, { cases });
    expect(code).toBe(1);
    expect(lines.slice(0, -1)).toEqual([
      'cases.yaml:2:12: fault: cases[0].from: must name a workload, a namespace or an ip',
      'cases.yaml:3:12: fault: cases[1].from: must be NAMESPACE/NAME of a workload, with @ADDRESS or not, or an address, not "shop"',
      'cases.yaml:3:22: fault: cases[1].to: must have namespace and labels together',
      'cases.yaml:3:47: fault: cases[1].port: must be a whole number from 1 to 65535, not the number 0',
      'cases.yaml:3:58: fault: cases[1].expect: must be one of allow, deny, not "maybe"',
      'cases.yaml:4:12: fault: cases[2].from: must have a namespace beside serviceAccount and trustDomain',
      'cases.yaml:4:37: fault: cases[2].to: must be one of workload, service, and namespace with labels',
      'cases.yaml:4:65: fault: cases[2].exepct: is no field that is known here; did you mean expect?',
      'cases.yaml:5:5: fault: cases[3].from: is missing',
      'cases.yaml:5:5: fault: cases[3].port: is missing',
      'cases.yaml:5:5: fault: cases[3].expect: is missing',
    ]);
    const gone = await runLine(program, ['authz', 'check', root, '--expect', join(root, 'gone.yaml')]);
    expect(gone.stdout).toContain('gone.yaml: fault: ');
  });
});

describe('one question', () => {
  const ask = (...flags: string[]) => check([...policies, ...shop], { flags });

  test('is answered with what came nearest; --expect makes it a case', async () => {
    const { code, lines } = await ask('--from', 'shop/frontend@10.1.0.1', '--to', 'shop/cart:81');
    expect(code).toBe(0);
    expect(lines.at(-2)).toBe('nearest: ALLOW shop/cart rules[1] (a.yaml:8:18) asks for port 8080');
    const wrong = await ask('--from', 'shop/frontend@10.1.0.1', '--to', 'shop/cart:81', '--expect', 'allow');
    expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({
      code: 1,
      stderr: 'error KM_CHECK_FAILED: policies: 1 case of 1 not as expected\n',
    });
    expect((await ask('--from', '10.1.0.1', '--to', 'shop/cart:8080/udp', '--expect', 'deny')).code).toBe(0);
  });

  test.each([
    [['--expect', 'allow'], '--expect allow needs a question'],
    [['--from', 'shop/frontend'], '--to is missing\nhint: it takes NS/NAME:PORT or NS/NAME:PORT/udp'],
    [['--to', 'shop/cart:80'], '--from is missing\nhint: it takes NS/NAME of a workload, or an address'],
    [['--from', '10.0.0.1', '--to', 'shop/cart'], '--to must be NS/NAME:PORT or NS/NAME:PORT/udp, got "shop/cart"'],
  ])('usage: %s', async (flags, message) => {
    const { code, stderr } = await ask(...flags);
    expect(code).toBe(2);
    expect(stderr).toContain(`error KM_USAGE: ${message}`);
  });
});

describe('a file of cases among the policies', () => {
  const asked = 'from: shop/frontend, to: shop/cart, port: 8080, expect: deny';
  const nothing = policy('nothing', '');
  const question = ['--from', 'shop/frontend', '--to', 'shop/cart:8080'];

  test.each([
    ['a mapping', `pods: 10.244.0.0/16\ncases:\n  - {${asked}}\n`],
    ['a list', `- {${asked}}\n`],
    ['several documents', `# who calls whom\n---\ncases: [{${asked}}]\n---\ncases: []\n`],
  ])('%s: is left out, and that is said', async (_how, text) => {
    writeFileSync(join(root, 'b.yaml'), text);
    const { lines, code } = await check([nothing, ...shop], { flags: question });
    expect(lines[0]).toBe('b.yaml: is a file of cases, and not asked: give it to --expect');
    expect(lines.at(-1)).toBe('1 file, 1 policy, 2 workloads, 0 faults, 0 warnings');
    expect(code).toBe(0);
    const both = await check([nothing, ...shop], { flags: [...question, '--expect', join(root, 'b.yaml')] });
    expect(both.stdout).not.toContain('not asked');
    expect(both.code).toBe(0);
  });

  test.each([
    ['an object of some kind', `apiVersion: v1\nkind: Cases\ncases: []\n---\nkind: AuthorizationPolicy\ncases: []\n`],
    ['objects and cases', `cases: []\n---${dedent(nothing)}`],
    ['a list of something else', `- {${asked}}\n- {from: a, to: b}\n`],
    ['what cannot be read', `cases: [\n`],
  ])('%s is none: what is wrong with it is a fault', async (_how, text) => {
    writeFileSync(join(root, 'b.yaml'), text);
    const { stdout, code } = await check(shop);
    expect(stdout).toMatch(/^b\.yaml:\d+:\d+: fault/m);
    expect(stdout).not.toContain('not asked');
    expect(code).toBe(1);
  });

  test('one that is named itself is not in a folder: its faults are told', async () => {
    writeFileSync(join(root, 'b.yaml'), 'cases: []\n');
    const { stdout, code } = await runLine(program, ['authz', 'check', join(root, 'b.yaml')], { root: false });
    expect(stdout).toContain('apiVersion: is missing');
    expect(code).toBe(1);
  });
});

test('the example in the docs is as it says', async () => {
  const folder = 'docs/examples/authorization';
  const ran = await runLine(program, ['authz', 'check', folder, '--strict', '--expect', `${folder}/cases.yaml`]);
  expect(ran.stdout).toContain('3 files, 7 policies, 4 workloads, 0 faults, 0 warnings, 8 of 8 cases as expected');
  expect(ran.code).toBe(0);
});
