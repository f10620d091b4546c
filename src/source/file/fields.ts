// SPDX-License-Identifier: Apache-2.0
// Field tables: what a kind's fields may hold, read from the tree into plain typed values, with a fault for each that does not fit.
import { nearestName } from '../nearest.ts';
import { describe, type Node, quote } from './node.ts';
import type { Reading } from './reading.ts';

/** Reads one value; undefined means that a fault was reported or that the field is read over. */
export interface Field<T> {
  readonly needed: boolean;
  read(node: Node, reading: Reading): T | undefined;
}

export interface NeededField<T> extends Field<T> {
  readonly needed: true;
}

export type Shape = Readonly<Record<string, Field<unknown>>>;

/** What an object of a shape reads as. Only what is `needed` is sure to be there, and only when no fault was reported. */
export type ObjectOf<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends NeededField<infer T> ? T : S[K] extends Field<infer T> ? T | undefined : never;
};

/** What a field reads as. */
export type Raw<F> = F extends Field<infer T> ? T : never;

/** Of objects in which a misspelt name would make what they say broader. */
export const strict = { strict: true } as const;

function field<T>(read: (node: Node, reading: Reading) => T | undefined): Field<T> {
  return { needed: false, read };
}

export function needed<T>(inner: Field<T>): NeededField<T> {
  return { needed: true, read: inner.read };
}

/** A mapping with named fields. Unknown names are a warning each, unless `open`: then they are read over; or `strict`: then they are faults. */
export function object<S extends Shape>(
  shape: S,
  options: { readonly open?: boolean; readonly strict?: boolean } = {},
): Field<ObjectOf<S>> {
  const fields = new Map<string, Field<unknown>>(Object.entries(shape));
  const must = [...fields].filter(([, f]) => f.needed).map(([name]) => name);
  return field((node, reading) => {
    if (node.kind !== 'map') return wrong(node, reading, 'a mapping');
    const out: Record<string, unknown> = {};
    /** Those that were there, but gave no value: they are not missing too. */
    let valueless: readonly string[] | undefined;
    for (const { key, at, value } of node.entries) {
      const known = fields.get(key);
      if (known === undefined) {
        if (options.open) continue;
        reading.path.push(key);
        const nearest = nearestName(key, fields.keys());
        const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
        if (options.strict) reading.fault(at, `is no field that is known here${meant}`);
        else reading.warn(at, `is no field that is known here; it is ignored${meant}`);
        reading.path.pop();
      } else if (known !== silent && (value.kind !== 'scalar' || value.value !== null)) {
        // null is how Kubernetes writes "not set"
        reading.path.push(key);
        const read = known.read(value, reading);
        reading.path.pop();
        if (read !== undefined) out[key] = read;
        else if (known.needed) valueless = [...(valueless ?? []), key];
      }
    }
    for (const name of must) {
      if (out[name] !== undefined || valueless?.includes(name)) continue;
      reading.path.push(name);
      reading.fault(node.at, 'is missing');
      reading.path.pop();
    }
    return out as ObjectOf<S>;
  });
}

export function listOf<T>(item: Field<T>, options: { readonly min?: number } = {}): Field<readonly T[]> {
  return field((node, reading) => {
    if (node.kind !== 'list') return wrong(node, reading, 'a list');
    if (node.items.length < (options.min ?? 0)) reading.fault(node.at, 'must not be empty');
    const out: T[] = [];
    node.items.forEach((value, i) => {
      reading.path.push(i);
      const read = item.read(value, reading);
      reading.path.pop();
      if (read !== undefined) out.push(read);
    });
    return out;
  });
}

/** A mapping of any keys to values of one sort. */
export function tableOf<T>(value: Field<T>): Field<Readonly<Record<string, T>>> {
  return field((node, reading) => {
    if (node.kind !== 'map') return wrong(node, reading, 'a mapping');
    const out: [string, T][] = [];
    for (const entry of node.entries) {
      reading.path.push(entry.key);
      const read = value.read(entry.value, reading);
      reading.path.pop();
      if (read !== undefined) out.push([entry.key, read]);
    }
    return Object.fromEntries(out);
  });
}

export function text(options: { readonly is?: string; readonly test?: (text: string) => boolean } = {}): Field<string> {
  return field((node, reading) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      const scalar = node.kind === 'scalar' && node.value !== null;
      reading.fault(node.at, `must be text, not ${describe(node)}${scalar ? ' (put it in quotes)' : ''}`);
      return undefined;
    }
    if (options.test === undefined || options.test(node.value)) return node.value;
    reading.fault(node.at, `must be ${options.is}, not ${quote(node.value)}`);
    return undefined;
  });
}

/** Text that `parse` turns into a value; undefined from it is a fault. */
export function parsed<T>(is: string, parse: (text: string) => T | undefined): Field<T> {
  return field((node, reading) => {
    const value = node.kind === 'scalar' && typeof node.value === 'string' ? parse(node.value) : undefined;
    return value === undefined ? wrong(node, reading, is) : value;
  });
}

export function whole(min: number, max: number): Field<number> {
  return field((node, reading) => {
    const value = node.kind === 'scalar' ? node.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return wrong(node, reading, `a whole number from ${min} to ${max}`);
  });
}

export const port = whole(1, 65535);

export function flag(): Field<boolean> {
  return field((node, reading) => {
    if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value;
    return wrong(node, reading, 'true or false');
  });
}

export function oneOf<const T extends string>(...values: readonly T[]): Field<T> {
  return field((node, reading) => {
    const value = node.kind === 'scalar' ? node.value : undefined;
    if (values.includes(value as T)) return value as T;
    return wrong(node, reading, `one of ${values.join(', ')}`);
  });
}

/** Either of two forms by what the value is: `pick` says which. */
export function either<A, B>(pick: (node: Node) => boolean, first: Field<A>, second: Field<B>): Field<A | B> {
  return field<A | B>((node, reading) => (pick(node) ? first : second).read(node, reading));
}

/** A field that is known and has no meaning here: read over in silence. */
export const silent: Field<undefined> = field(() => undefined);

/** A field that would mean something here but is not supported: a warning with its place. */
export function unsupported(why: string): Field<undefined> {
  return field((node, reading) => {
    reading.warn(node.at, `is not supported: ${why}`);
    return undefined;
  });
}

/** As `unsupported`, but reads as true, where it matters that the field is there. */
export function noticed(why: string): Field<true> {
  return field((node, reading) => {
    reading.warn(node.at, `is not supported: ${why}`);
    return true;
  });
}

/** A field that is listed once for all objects as ignored. */
export function ignored(what: string): Field<undefined> {
  return field((node, reading) => {
    reading.ignore(node.at, what);
    return undefined;
  });
}

export function silentFields<const K extends string>(...names: readonly K[]): Record<K, Field<undefined>> {
  return Object.fromEntries(names.map((name) => [name, silent])) as Record<K, Field<undefined>>;
}

function wrong(node: Node, reading: Reading, is: string): undefined {
  reading.fault(node.at, `must be ${is}, not ${describe(node)}`);
  return undefined;
}
