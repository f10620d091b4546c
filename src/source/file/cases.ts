// SPDX-License-Identifier: Apache-2.0
// A file of questions to policies: who connects to whom, and what is expected of that.
import { type Address, parseAddress } from '../../net/address.ts';
import { type Cidr, parseCidr } from '../../net/cidr.ts';
import type { Finding, Place } from '../findings.ts';
import { address } from './addresses.ts';
import { documentsOf } from './documents.ts';
import { type Field, listOf, needed, object, oneOf, parsed, port, strict, tableOf, text } from './fields.ts';
import { isLabel } from './names.ts';
import { child, type Node } from './node.ts';
import type { Labels } from './objects.ts';
import { openReading } from './reading.ts';

export interface Named {
  readonly namespace: string;
  readonly name: string;
}

/** Who connects: a workload, whoever runs as a service account, or just an address. */
export interface Source {
  readonly workload?: Named;
  readonly account?: { readonly trustDomain?: string; readonly namespace: string; readonly serviceAccount: string };
  readonly ip?: Address;
}

/** Whom it is to: one workload or all of that name, those of a service, or one that would have these labels. */
export interface Target {
  readonly workload?: Named;
  readonly service?: Named;
  readonly supposed?: { readonly namespace: string; readonly labels: Labels };
  readonly ip?: Address;
}

export const answers = ['allow', 'deny'] as const;
export type Answer = (typeof answers)[number];

export interface Case {
  readonly name: string;
  readonly place: Place;
  readonly from: Source;
  readonly to: Target;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly expect?: Answer;
  /** If dry runs were enforced. */
  readonly dryRun?: Answer;
}

/** "shop/cart" */
function parseNamed(value: string): Named | undefined {
  const [namespace = '', name = '', ...more] = value.split('/');
  return more.length === 0 && isLabel(namespace) && name !== '' ? { namespace, name } : undefined;
}

/** A workload by name, with or without an address of it: "shop/cart@10.0.0.5". */
export function parseTarget(value: string): { readonly workload: Named; readonly ip?: Address } | undefined {
  const [name = '', at, ...more] = value.split('@');
  const workload = parseNamed(name);
  const ip = at === undefined ? undefined : parseAddress(at);
  if (workload === undefined || more.length > 0 || (at !== undefined && ip === undefined)) return undefined;
  return { workload, ...(ip !== undefined && { ip }) };
}

/** A workload, or an address alone. */
export function parseSource(value: string): Source | undefined {
  const ip = parseAddress(value);
  return ip === undefined ? parseTarget(value) : { ip };
}

const named = parsed('NAMESPACE/NAME', parseNamed);
const namespace = text({ is: 'a lowercase DNS label', test: isLabel });

/** Text in short, or a mapping. */
function either<T, R>(short: Field<T>, long: Field<R>, settle: (raw: R, fault: (why: string) => void) => T): Field<T> {
  return {
    needed: false,
    read(node, reading) {
      if (node.kind === 'scalar') return short.read(node, reading);
      const before = reading.faults;
      const raw = long.read(node, reading);
      if (raw === undefined || reading.faults > before) return undefined;
      return settle(raw, (why) => reading.fault(node.at, why));
    },
  };
}

const source = either(
  parsed<Source>('NAMESPACE/NAME of a workload, with @ADDRESS or not, or an address', parseSource),
  object({ workload: named, namespace, serviceAccount: text(), trustDomain: text(), ip: address }, strict),
  ({ workload, namespace, serviceAccount, trustDomain, ip }, fault): Source => {
    const at = ip === undefined ? {} : { ip };
    const more = serviceAccount !== undefined || trustDomain !== undefined;
    if (workload && (namespace !== undefined || more)) fault('must be a workload or an account, not both');
    else if (more && namespace === undefined) fault('must have a namespace beside serviceAccount and trustDomain');
    else if (!workload && namespace === undefined && ip === undefined)
      fault('must name a workload, a namespace or an ip');
    if (workload) return { workload, ...at };
    if (namespace === undefined) return at;
    const account = { namespace, serviceAccount: serviceAccount ?? 'default' };
    return { account: trustDomain === undefined ? account : { ...account, trustDomain }, ...at };
  },
);

const target = either(
  parsed<Target>('NAMESPACE/NAME of a workload, with @ADDRESS or not', parseTarget),
  object({ workload: named, service: named, namespace, labels: tableOf(text()), ip: address }, strict),
  ({ workload, service, namespace, labels, ip }, fault): Target => {
    const at = ip === undefined ? {} : { ip };
    const supposed = namespace !== undefined && labels !== undefined ? { namespace, labels } : undefined;
    if ((namespace === undefined) !== (labels === undefined)) fault('must have namespace and labels together');
    else if ([workload, service, supposed].filter((way) => way !== undefined).length !== 1) {
      fault('must be one of workload, service, and namespace with labels');
    }
    return { ...(workload && { workload }), ...(service && { service }), ...(supposed && { supposed }), ...at };
  },
);

const aCase = object(
  {
    name: text(),
    from: needed(source),
    to: needed(target),
    port: needed(port),
    protocol: oneOf('tcp', 'udp'),
    expect: needed(oneOf(...answers)),
    dryRun: oneOf(...answers),
  },
  strict,
);

export interface Cases {
  readonly cases: readonly Case[];
  /** Where the addresses of pods are from whose own nobody knows yet. */
  readonly pods: readonly Cidr[];
  readonly faults: readonly Finding[];
}

const range = parsed('a range such as 10.244.0.0/16', parseCidr);
const ranges = listOf(range);

/** A list of cases, or a mapping with `cases` and perhaps `pods`; several documents count as one. */
export function readCases(file: string, content: string): Cases {
  const out: Case[] = [];
  const { document, faults, place } = openReading(file, content);
  const list = listOf<undefined>({
    needed: false,
    read(node, reading) {
      const before = reading.faults;
      const raw = aCase.read(node, reading);
      if (raw === undefined || reading.faults > before) return undefined;
      const { name = '', protocol = 'tcp', dryRun, ...rest } = raw;
      out.push({ name, place: place(node.at), ...rest, protocol, ...(dryRun !== undefined && { dryRun }) });
      return undefined;
    },
  });
  const pods: Cidr[] = [];
  const podRanges: Field<undefined> = {
    needed: false,
    read(node, reading) {
      const read = node.kind === 'scalar' ? range.read(node, reading) : ranges.read(node, reading);
      if (read !== undefined) pods.push(...[read].flat());
      return undefined;
    },
  };
  const whole = object({ cases: needed(list), pods: podRanges }, strict);
  for (const { root, faults: broken } of documentsOf(content)) {
    const reading = document(root ?? { kind: 'scalar', at: 0, value: null }, '');
    for (const { at, reason } of broken) reading.fault(at, reason);
    if (root === undefined || broken.length > 0) continue;
    (root.kind === 'list' ? list : whole).read(root, reading);
  }
  return { cases: out, pods, faults };
}

/** What a text must hold to be one, told without reading it. */
const mayHoldCases = /\b(?:cases|expect)\b/;

/** True for a file of cases, and for nothing that could be an object of Kubernetes. */
export function holdsCases(content: string): boolean {
  if (!mayHoldCases.test(content)) return false;
  const documents = [...documentsOf(content)];
  return documents.length > 0 && documents.every(({ root, faults }) => faults.length === 0 && areCases(root));
}

function areCases(root: Node | undefined): boolean {
  const ofNothing = (node: Node) => child(node, 'kind') === undefined && child(node, 'apiVersion') === undefined;
  if (root?.kind === 'map') return ofNothing(root) && child(root, 'cases')?.kind === 'list';
  const isCase = (node: Node) =>
    ofNothing(node) && ['from', 'to', 'expect'].every((key) => child(node, key) !== undefined);
  return root?.kind === 'list' && root.items.length > 0 && root.items.every(isCase);
}
