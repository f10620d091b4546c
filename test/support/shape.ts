// SPDX-License-Identifier: Apache-2.0
// The shape of a JSON value: names and types of fields without what is in them. The same for every run.

export type Shape = string | { readonly [field: string]: Shape } | readonly Shape[];

/** Lists become the union of their items' shapes. `open`: names of objects whose keys are data, not fields. */
export function shapeOf(value: unknown, open: ReadonlySet<string> = new Set(), name = ''): Shape {
  if (value === null) return 'null';
  if (Array.isArray(value)) return merge(value.map((item) => shapeOf(item, open, name)));
  if (typeof value !== 'object') return typeof value;
  const fields = Object.entries(value);
  if (open.has(name)) return { '*': merge(fields.map(([, item]) => shapeOf(item, open)))[0] ?? 'nothing' };
  return Object.fromEntries(
    fields.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, shapeOf(item, open, key)]),
  );
}

/** Each shape once; objects are joined into one, fields that some lack are marked with "?". */
function merge(shapes: readonly Shape[]): Shape[] {
  const objects = shapes.filter((shape) => typeof shape === 'object' && !Array.isArray(shape)) as Record<
    string,
    Shape
  >[];
  const others = [
    ...new Map(shapes.filter((shape) => !objects.includes(shape as never)).map((s) => [JSON.stringify(s), s])).values(),
  ];
  if (objects.length === 0) return others;
  const keys = [...new Set(objects.flatMap((shape) => Object.keys(shape).map((key) => key.replace(/\?$/, ''))))].sort();
  const joined = keys.map((key) => {
    const held = objects.flatMap((shape) => [shape[key], shape[`${key}?`]].filter((one) => one !== undefined));
    const everywhere = objects.every((shape) => shape[key] !== undefined);
    const kinds = held.every((one) => Array.isArray(one)) ? [merge(held.flat() as Shape[])] : merge(held);
    return [everywhere ? key : `${key}?`, kinds.length === 1 ? kinds[0] : kinds] as const;
  });
  return [...others, Object.fromEntries(joined) as Shape];
}
