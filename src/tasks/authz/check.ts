// SPDX-License-Identifier: Apache-2.0
// Policies in files, looked at before anything enforces them: what is wrong with them, and whether they decide as expected.
import { readFile, realpath } from 'node:fs/promises';
import { explain } from '../../compile/authz/explain.ts';
import { defaultAuthzOptions, type Holding, holdingOf } from '../../compile/authz/holding.ts';
import type { Stack } from '../../compile/authz/judge.ts';
import { compilingDestination, openLists } from '../../compile/authz/lists.ts';
import { type RangeEntry, rangeEntries, samePrefix } from '../../compile/authz/ranges.ts';
import { type PlaceOf, tell } from '../../compile/authz/tell.ts';
import type { Env } from '../../env.ts';
import { fileFault, KmeshError } from '../../errors.ts';
import { policyKey } from '../../mesh/policy.ts';
import { finish } from '../../mesh/steps.ts';
import type { Told } from '../../mesh/told.ts';
import { type Cidr, cidrText } from '../../net/cidr.ts';
import { type Answer, type Case, parseSource, parseTarget, readCases } from '../../source/file/cases.ts';
import { type FileMesh, type PolicyDocument, readMeshFiles } from '../../source/file/mesh-files.ts';
import { supposedPod } from '../../source/file/stand-ins.ts';
import { type Finding, type Report, renderPlace } from '../../source/findings.ts';
import { lintPolicies } from './lint.ts';
import { type Asked, openAsking, Unanswerable } from './questions.ts';

export type { Told, ToldRule, ToldVerdict } from '../../mesh/told.ts';

export interface CheckPoliciesOptions {
  /** Files and folders; '-' is standard input. */
  readonly files: readonly string[];
  /** Files of cases; or 'allow' or 'deny', for the question that `from` and `to` ask. */
  readonly expect: readonly string[];
  readonly from?: string;
  /** "shop/cart:8080", or with "/udp". */
  readonly to?: string;
  readonly strictL7Deny: boolean;
  /** Warnings count as faults do. */
  readonly strict: boolean;
}

/** A question and its answer. */
export interface CaseResult {
  readonly name: string;
  /** "cases.yaml:3:5"; '' when it was asked on the command line. */
  readonly place: string;
  readonly from: string;
  readonly to: string;
  readonly expect?: Answer;
  /** Absent: it cannot be answered. */
  readonly told?: Told;
  /** What is not as expected, or why there is no answer; '' when all is well. */
  readonly failed: string;
}

export interface CheckPoliciesResult {
  readonly files: number;
  readonly policies: number;
  readonly workloads: number;
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
  readonly ignored: Report['ignored'];
  readonly cases: readonly CaseResult[];
  /** Files of cases that are in the folders, and were not asked. */
  readonly unasked: readonly string[];
  /** Warnings count as faults do. */
  readonly strict: boolean;
}

/** Never throws for what files hold; KM_USAGE for a question that makes no sense. */
export async function checkPolicies(env: Env, options: CheckPoliciesOptions): Promise<CheckPoliciesResult> {
  const caseFiles = options.expect.filter((word) => word !== 'allow' && word !== 'deny');
  const cases: Case[] = [];
  const faults: Finding[] = [];
  const except = new Set<string>();
  const pods: Cidr[] = [];
  for (const file of caseFiles) {
    try {
      const read = readCases(file, await readFile(file, 'utf8'));
      cases.push(...read.cases);
      pods.push(...read.pods);
      faults.push(...read.faults);
      except.add(await realpath(file));
    } catch (error) {
      faults.push({ file, line: 0, column: 0, resource: '', field: '', reason: fileFault(error) });
    }
  }
  cases.push(...questionOf(options, caseFiles.length));
  const supposed = cases.flatMap(({ to, place }) => (to.supposed ? [supposedPod(to.supposed, place)] : []));
  const mesh = await readMeshFiles(options.files, { stdin: env.stdin, except, supposed });
  const holding = holdingOf(mesh.model.policies, { ...defaultAuthzOptions, strictL7Deny: options.strictL7Deny });
  const lints = lintPolicies(mesh, holding, env.now());
  const { report } = mesh;
  const answer = answering(mesh, holding, pods);
  return {
    files: report.files + caseFiles.length,
    policies: mesh.policies.length,
    workloads: mesh.model.workloads.size - mesh.supposed.size,
    faults: [...report.faults, ...lints.faults, ...faults],
    warnings: [...report.warnings, ...lints.warnings],
    ignored: report.ignored,
    cases: cases.map(answer),
    unasked: mesh.caseFiles,
    strict: options.strict,
  };
}

/** The question of the command line, if there is one. */
function questionOf({ from, to, expect }: CheckPoliciesOptions, files: number): Case[] {
  const wanted = expect.filter((word): word is Answer => word === 'allow' || word === 'deny');
  if (from === undefined && to === undefined) {
    if (wanted.length === 0) return [];
    throw new KmeshError('KM_USAGE', `--expect ${wanted[0]} needs a question`, {
      hint: 'give --from NS/NAME --to NS/NAME:PORT, or a file of cases to --expect',
    });
  }
  const [, target = '', port = '', protocol = 'tcp'] = /^(.*):(\d{1,5})(?:\/(tcp|udp))?$/.exec(to ?? '') ?? [];
  const meant = parseTarget(target);
  const source = from === undefined ? undefined : parseSource(from);
  const number = Number(port);
  if (source === undefined || meant === undefined || number < 1 || number > 65535) {
    const [flag, given] = source === undefined ? ['--from', from] : ['--to', to];
    const form = source === undefined ? 'NS/NAME of a workload, or an address' : 'NS/NAME:PORT or NS/NAME:PORT/udp';
    if (given === undefined) throw new KmeshError('KM_USAGE', `${flag} is missing`, { hint: `it takes ${form}` });
    throw new KmeshError('KM_USAGE', `${flag} must be ${form}, got "${given}"`);
  }
  if (wanted.length > 1) throw new KmeshError('KM_USAGE', '--expect allow|deny stands once: there is one question');
  const [expected] = wanted;
  const question = { from: source, to: meant, port: number, protocol: protocol as Case['protocol'] };
  const place = { file: '', line: 0, column: 0 };
  const name = files === 0 ? '' : 'command line';
  return [{ name, place, ...question, ...(expected !== undefined && { expect: expected }) }];
}

const textOf = (one: Case['from'] & Case['to']): string => {
  const name = one.workload ?? one.service;
  const labels = one.supposed && Object.entries(one.supposed.labels).map(([key, value]) => `${key}=${value}`);
  const words = [
    one.service && 'service',
    name && `${name.namespace}/${name.name}`,
    one.account && `${one.account.namespace}/${one.account.serviceAccount} (account)`,
    one.supposed && `${one.supposed.namespace}/${labels}`,
  ];
  const shown = words.filter((word) => word !== undefined).join(' ');
  return one.ip === undefined ? shown : [shown, one.ip].filter(Boolean).join('@');
};

function answering(mesh: FileMesh, holding: Holding, pods: readonly Cidr[]): (one: Case) => CaseResult {
  const asking = openAsking(mesh, pods);
  const lists = openLists();
  const placeOf = placesIn(mesh);
  const judgeOne = (asked: Asked): Told => {
    const { workload, destination, identity, source, within, port } = asked;
    if (workload.hostNetwork)
      throw new Unanswerable(`${nameOf(asked)} is in its node's network: nothing is enforced for it`);
    const { stack } = finish(compilingDestination(workload, destination ?? '0.0.0.0', holding, lists));
    const told = source !== undefined && !(within && dividesRange(stack, within));
    needs(stack, 'source', told, 'ask for the address of the source: add it, as in shop/cart@10.0.0.5', asked);
    needs(
      stack,
      'destination',
      destination !== undefined,
      'ask for the address: add it, as in shop/cart@10.0.0.5',
      asked,
    );
    return tell(explain(stack, { identity, source: source ?? '0.0.0.0', port }), placeOf);
  };
  return (one) => {
    const { name, place, from, to, port, protocol, expect, dryRun } = one;
    const base = {
      name,
      place: place.line === 0 ? '' : renderPlace(place),
      from: textOf(from),
      to: `${textOf(to)}:${port}${protocol === 'udp' ? '/udp' : ''}`,
      ...(expect !== undefined && { expect }),
    };
    try {
      const asked = asking.of(one);
      const all = asked.map((connection) => ({ of: connection, told: judgeOne(connection) }));
      const wrong = all.map(({ of, told }) => ({ told, failed: failureOf(told, expect, dryRun), of }));
      const first = (wrong.find(({ failed }) => failed !== '') ?? wrong[0]) as (typeof wrong)[number];
      const which = first.failed !== '' && asked.length > 1 ? ` (for ${nameOf(first.of)})` : '';
      return { ...base, told: first.told, failed: first.failed + which };
    } catch (error) {
      if (error instanceof Unanswerable) return { ...base, failed: error.message };
      throw error;
    }
  };
}

const nameOf = ({ workload }: Asked): string => `${workload.namespace}/${workload.name}`;

function failureOf(told: Told, expect: Answer | undefined, dryRun: Answer | undefined): string {
  if (expect !== undefined && told.verdict !== expect) return `expected ${expect}, it is ${told.verdict}`;
  const withDry = told.dryRun?.verdict ?? told.verdict;
  if (dryRun === undefined || withDry === dryRun) return '';
  return `expected ${dryRun} with dry runs enforced, it would be ${withDry}`;
}

function needs(stack: Stack, dimension: 'source' | 'destination', known: boolean, what: string, asked: Asked): void {
  if (known || !stack.sets.some(({ set }) => set[dimension].used)) return;
  throw new Unanswerable(`policies of ${nameOf(asked)} ${what}`);
}

/** True when policies tell some addresses of a range from others. */
function dividesRange({ sets }: Stack, { address, length }: Cidr): boolean {
  const [{ bytes, prefix }] = rangeEntries([cidrText(address, length)]) as [RangeEntry];
  return sets.some(({ set }) =>
    set.source.entries.some((e) => e.prefix > prefix && samePrefix(e.bytes, bytes, prefix)),
  );
}

/** Places of policies as the files have them. */
function placesIn({ policies }: FileMesh): PlaceOf {
  const documents = new Map<string, PolicyDocument>(
    policies.map((document) => {
      const made = document.kind === 'PeerAuthentication' ? 'converted_peer_authentication_' : '';
      return [`${document.namespace}/${made}${document.name}`, document] as const;
    }),
  );
  return (policy) => {
    const document = documents.get(policyKey(policy));
    return document === undefined ? '' : renderPlace(document.place);
  };
}
