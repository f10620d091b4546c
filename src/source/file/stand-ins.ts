// SPDX-License-Identifier: Apache-2.0
// Pods that do not exist yet: those that the templates of Deployments and the like would make, for questions asked before anything runs.
import type { Place } from '../findings.ts';
import { documentsOf } from './documents.ts';
import { podKind } from './kinds/pod.ts';
import { child, childText, type Entry, type Node, type Path } from './node.ts';
import { identityOf, type Labels, type PodObject } from './objects.ts';
import { openReading } from './reading.ts';

const inSpec: Path = ['spec', 'template'];

/** "group Kind" -> where the template of its pods stands. */
const templates: ReadonlyMap<string, Path> = new Map([
  ...['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet'].map((kind) => [`apps ${kind}`, inSpec] as const),
  ['batch Job', inSpec],
  ['batch CronJob', ['spec', 'jobTemplate', 'spec', 'template']],
]);

/** True of what a report calls ignored but is read here: "apps/v1 Deployment". */
export function hasTemplate(what: string): boolean {
  const [apiVersion = '', kind] = what.split(' ');
  return templates.has(`${apiVersion.split('/')[0]} ${kind}`);
}

/** A pod for each template in a file's text, by the name of what it stands in. Documents with faults are passed over: others complain of them. */
export function templatePods(file: string, text: string): PodObject[] {
  const reading = openReading(file, text);
  const out: PodObject[] = [];
  const visit = (root: Node, inherited: string) => {
    const kind = childText(root, 'kind') ?? '';
    const items = kind.endsWith('List') ? child(root, 'items') : undefined;
    if (items?.kind === 'list') {
      const of = kind === 'List' ? '' : `${childText(root, 'apiVersion') ?? ''} ${kind.slice(0, -4)}`;
      for (const item of items.items) visit(item, of);
      return;
    }
    const what = kind === '' ? inherited : `${childText(root, 'apiVersion') ?? ''} ${kind}`;
    const path = templates.get(what.replace(/\/\S*/, ''));
    const metadata = child(root, 'metadata');
    // What something else made (a ReplicaSet, the Job of a CronJob) is told by that.
    if (path === undefined || child(metadata, 'ownerReferences') !== undefined) return;
    const pod = podNode(root, metadata, path);
    const made = pod && podKind.read(pod, reading.document(pod, ''));
    if (made?.kind === 'Pod') out.push(made);
  };
  for (const { root, faults } of documentsOf(text)) if (root !== undefined && faults.length === 0) visit(root, '');
  return out;
}

function podNode(root: Node, metadata: Node | undefined, path: Path): Node | undefined {
  let template: Node | undefined = root;
  for (const step of path) template = child(template, String(step));
  if (template === undefined) return undefined;
  const map = (from: Readonly<Record<string, Node | undefined>>): Node => {
    const entries = Object.entries(from).flatMap(([key, value]): Entry[] =>
      value === undefined ? [] : [{ key, at: value.at, value }],
    );
    return { kind: 'map', at: root.at, entries };
  };
  const inTemplate = child(template, 'metadata');
  return map({
    metadata: map({
      name: child(metadata, 'name'),
      namespace: child(metadata, 'namespace'),
      labels: child(inTemplate, 'labels'),
      annotations: child(inTemplate, 'annotations'),
    }),
    spec: child(template, 'spec'),
  });
}

/** What a pod is called of which only the labels are known. */
export function supposedName(labels: Labels): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** A pod that somebody only speaks of. */
export function supposedPod(
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  place: Place,
): PodObject {
  const name = supposedName(labels);
  return {
    kind: 'Pod',
    namespace,
    name,
    place,
    labels,
    addresses: [],
    terminal: false,
    healthy: true,
    node: '',
    serviceAccount: 'default',
    hostNetwork: false,
    workloadName: name,
    workloadType: 'pod',
    ports: [],
    canonicalName: name,
    canonicalRevision: 'latest',
    tunnel: 'none',
  };
}

/** Gives pods of which `known` has none addresses of their own, from a range that goes nowhere (RFC 6666). */
export function addressed(pods: readonly PodObject[], known: ReadonlySet<string>): PodObject[] {
  const out: PodObject[] = [];
  const seen = new Set(known);
  for (const pod of pods) {
    if (seen.has(identityOf(pod))) continue;
    seen.add(identityOf(pod));
    const number = out.length + 1;
    out.push({ ...pod, addresses: [`100::${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`] });
  }
  return out;
}
