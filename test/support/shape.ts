// SPDX-License-Identifier: Apache-2.0
// The shape of a JSON value: names and types of fields without what is in them. The same for every run.

export type Shape = string | { readonly [field: string]: Shape } | readonly Shape[];

/** Lists become the union of their items' shapes. `open`: names of objects whose keys are data, not fields. */
export function shapeOf(value: unknown, open: ReadonlySet<string> = new Set(), name = ''): Shape {
  if (value === null) return 'null';
  if (Array.isArray(value)) return merge(value.map((item) => shapeOf(item, open, name)));
  if (typeof value !== 'object') return typeof value;
  const fields = Object.entries(value);
  if (open.has(name)) return { '*': merge(fields.map(([, item]) => shapeOf(item, open))) };
  return Object.fromEntries(
    fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, shapeOf(item, open, key)]),
  );
}

type ObjectShape = Readonly<Record<string, Shape>>;

const isObject = (shape: Shape): shape is ObjectShape => typeof shape === 'object' && !Array.isArray(shape);
const isList = (shape: Shape): shape is readonly Shape[] => Array.isArray(shape);

/** Each shape once, in an order of its own; objects are joined into one, so are lists. */
function merge(shapes: readonly Shape[]): Shape[] {
  const objects = shapes.filter(isObject);
  const lists = shapes.filter(isList);
  const words = [...new Set(shapes.filter((shape) => typeof shape === 'string'))].sort();
  return [
    ...words,
    ...(lists.length === 0 ? [] : [merge(lists.flat())]),
    ...(objects.length === 0 ? [] : [join(objects)]),
  ];
}

/** Fields that some lack are marked with "?". */
function join(objects: readonly ObjectShape[]): Shape {
  const keys = [...new Set(objects.flatMap((shape) => Object.keys(shape).map((key) => key.replace(/\?$/, ''))))].sort();
  const joined = keys.map((key): [string, Shape] => {
    const held = objects.flatMap((shape) => [shape[key], shape[`${key}?`]].filter((one) => one !== undefined));
    const kinds = merge(held);
    const name = objects.every((shape) => shape[key] !== undefined) ? key : `${key}?`;
    return [name, kinds.length === 1 && kinds[0] !== undefined ? kinds[0] : kinds];
  });
  return Object.fromEntries(joined);
}
