// SPDX-License-Identifier: Apache-2.0
// A cluster in memory, for tests of what commands make of its answers. It owns no fields and validates nothing.
import { KmeshError } from '../../src/errors.ts';
import type { Cluster } from '../../src/kube/cluster.ts';
import type { Kind, KubeObject } from '../../src/kube/object.ts';

interface Write {
  readonly verb: 'apply' | 'status' | 'label' | 'remove';
  /** "gateways shop/waypoint" */
  readonly what: string;
  readonly dryRun: boolean;
  readonly force?: boolean;
}

export interface FakeCluster extends Cluster {
  readonly writes: readonly Write[];
  put(kind: Kind, object: KubeObject): void;
  drop(kind: Kind, name: string, namespace?: string): void;
  /** What `verb` fails with from now on; undefined: it works again. */
  fail(verb: keyof Cluster & string, fault: KmeshError | undefined): void;
}

const keyOf = ({ plural }: Kind, name: string, namespace = ''): string =>
  `${plural} ${namespace === '' ? '' : `${namespace}/`}${name}`;

export function fakeCluster(
  objects: readonly (readonly [Kind, KubeObject])[] = [],
  namespace = 'default',
): FakeCluster {
  const held = new Map<string, KubeObject>();
  const faults = new Map<string, KmeshError>();
  const writes: Write[] = [];
  let version = 0;
  const put = (kind: Kind, object: KubeObject): void => {
    version += 1;
    const { metadata } = object;
    const stamped = { ...metadata, resourceVersion: String(version), uid: metadata.uid ?? `uid-${version}` };
    held.set(keyOf(kind, metadata.name, metadata.namespace), { ...object, metadata: stamped });
  };
  const check = (verb: string): void => {
    const fault = faults.get(verb);
    if (fault) throw fault;
  };
  for (const [kind, object] of objects) put(kind, object);
  return {
    namespace,
    writes,
    put,
    drop: (kind, name, within) => void held.delete(keyOf(kind, name, within)),
    fail: (verb, fault) => void (fault ? faults.set(verb, fault) : faults.delete(verb)),
    async get(kind, name, within) {
      check('get');
      return held.get(keyOf(kind, name, within));
    },
    async list(kind, { namespace: within, labels }) {
      check('list');
      return [...held]
        .filter(([key, { metadata }]) => {
          const inScope = within === undefined || metadata.namespace === within;
          return (
            key.startsWith(`${kind.plural} `) && inScope && (labels === undefined || labels in (metadata.labels ?? {}))
          );
        })
        .map(([, object]) => object);
    },
    async apply(kind, object, { dryRun, force }) {
      check('apply');
      const key = keyOf(kind, object.metadata.name, object.metadata.namespace);
      const before = held.get(key);
      writes.push({ verb: 'apply', what: key, dryRun, force });
      const status = before?.status ?? object.status;
      const metadata = { generation: 1, ...before?.metadata, ...object.metadata };
      const after = { ...object, metadata, ...(status === undefined ? {} : { status }) };
      if (!dryRun) put(kind, after);
      return after;
    },
    async applyStatus(kind, object) {
      check('applyStatus');
      const key = keyOf(kind, object.metadata.name, object.metadata.namespace);
      writes.push({ verb: 'status', what: key, dryRun: false });
      const before = held.get(key);
      if (before === undefined) throw new KmeshError('KM_NOT_FOUND', key);
      const after = { ...before, ...(object.status && { status: object.status }) };
      put(kind, after);
      return after;
    },
    async label(kind, object, labels, { dryRun }) {
      check('label');
      const key = keyOf(kind, object.metadata.name, object.metadata.namespace);
      writes.push({ verb: 'label', what: key, dryRun });
      const now = held.get(key);
      if (now?.metadata.resourceVersion !== object.metadata.resourceVersion) throw new KmeshError('KM_CONFLICT', key);
      const merged = Object.entries({ ...now?.metadata.labels, ...labels }).filter(([, value]) => value !== null);
      const after = {
        ...object,
        metadata: { ...object.metadata, labels: Object.fromEntries(merged) as Record<string, string> },
      };
      if (!dryRun) put(kind, after);
      return after;
    },
    async remove(kind, object, { dryRun }) {
      check('remove');
      const key = keyOf(kind, object.metadata.name, object.metadata.namespace);
      writes.push({ verb: 'remove', what: key, dryRun });
      return dryRun ? held.has(key) : held.delete(key);
    },
  };
}
