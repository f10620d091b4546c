// SPDX-License-Identifier: Apache-2.0
// What a kind's reader is made of, and the metadata that every kind has.
import { isIdentityPart } from '../../mesh/identity.ts';
import {
  type Field,
  flag,
  listOf,
  needed,
  type ObjectOf,
  object,
  parsed,
  type Raw,
  type Shape,
  silent,
  silentFields,
  tableOf,
  text,
} from './fields.ts';
import { distributionAnnotation, isLabel, isName, onEmptyAnnotation, parseDistribution } from './names.ts';
import { child, type Node } from './node.ts';
import type { Distribution, Labels, MeshObject } from './objects.ts';
import type { Reading } from './reading.ts';

export const labels: Field<Labels> = tableOf(text());

export const serviceAccount = text({ is: 'a name without slashes', test: (name) => isIdentityPart(name) });

const metadata = object({
  name: needed(text({ is: 'a lowercase DNS name', test: isName })),
  namespace: text({ is: 'a lowercase DNS label', test: isLabel }),
  labels,
  annotations: labels,
  creationTimestamp: parsed('a time such as 2024-01-31T10:00:00Z', time),
  deletionTimestamp: parsed('a time such as 2024-01-31T10:00:00Z', time),
  generateName: text(),
  ownerReferences: listOf(object({ kind: text(), name: text(), controller: flag() }, { open: true })),
  ...silentFields('uid', 'resourceVersion', 'generation', 'selfLink', 'finalizers'),
  ...silentFields('managedFields', 'deletionGracePeriodSeconds', 'clusterName'),
});

export interface Meta extends Omit<Raw<typeof metadata>, 'labels' | 'annotations' | 'namespace'> {
  readonly namespace: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly place: ReturnType<Reading['place']>;
}

export interface Kind {
  readonly kind: string;
  /** '' is the core group. */
  readonly group: string;
  readonly versions: readonly string[];
  readonly namespaced: boolean;
  /** The checked object; undefined when the document has a fault. */
  read(root: Node, reading: Reading): MeshObject | undefined;
}

interface Definition<S extends Shape> {
  readonly kind: MeshObject['kind'];
  readonly group: string;
  readonly versions: readonly string[];
  readonly namespaced: boolean;
  /** Fields beside apiVersion, kind and metadata. */
  readonly shape: S;
  /** Called when every field fits; may still report faults of fields that do not go together. */
  make(raw: ObjectOf<S>, meta: Meta, reading: Reading): MeshObject;
}

export function defineKind<S extends Shape>(definition: Definition<S>): Kind {
  const document = object({ ...definition.shape, apiVersion: silent, kind: silent, metadata: needed(metadata) });
  return {
    ...definition,
    read(root, reading) {
      const raw = document.read(root, reading);
      if (raw === undefined || reading.faults > 0) return undefined;
      const given = raw.metadata as Raw<typeof metadata>;
      const meta: Meta = {
        ...given,
        namespace: definition.namespaced ? (given.namespace ?? 'default') : '',
        labels: given.labels ?? noLabels,
        annotations: given.annotations ?? noLabels,
        place: reading.place(child(child(root, 'metadata'), 'name')?.at ?? root.at),
      };
      const made = definition.make(raw as ObjectOf<S>, meta, reading);
      return reading.faults > 0 ? undefined : made;
    },
  };
}

const noLabels: Labels = {};

/** The fields that every object keeps. */
export function base(meta: Meta) {
  const { namespace, name, place, creationTimestamp: created } = meta;
  return { namespace, name, place, ...(created === undefined ? {} : { created }) };
}

/** Distribution that an object's annotation asks for; a value that is not known is a warning and prefers nothing. */
export function annotatedDistribution(meta: Meta, reading: Reading): { distribution?: Distribution } {
  const value = meta.annotations[distributionAnnotation];
  if (value === undefined) return {};
  const distribution = parseDistribution(value);
  if (distribution === undefined) {
    const path = ['metadata', 'annotations', distributionAnnotation];
    reading.warnAt(path, `is not known; nothing is preferred: ${JSON.stringify(value)}`);
  }
  return { distribution: distribution ?? 'any' };
}

export function annotatedOnEmpty(meta: Meta, reading: Reading): 'refuse' | 'direct' {
  const value = meta.annotations[onEmptyAnnotation] ?? 'refuse';
  if (value === 'direct' || value === 'refuse') return value;
  reading.faultAt(['metadata', 'annotations', onEmptyAnnotation], `must be one of refuse, direct, not "${value}"`);
  return 'refuse';
}

function time(value: string): number | undefined {
  const ms = /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
