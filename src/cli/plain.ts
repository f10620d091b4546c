// SPDX-License-Identifier: Apache-2.0
// Any result as what JSON and YAML can hold.

/**
 * u64 become numbers while exact, decimal strings beyond 2^53; maps become objects (keys as text), sets arrays, bytes hex.
 * Undefined fields vanish.
 */
export function toPlain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
  }
  if (typeof value === 'function' || typeof value === 'symbol' || value === undefined) return undefined;
  // -0 and what is no number are nothing that JSON has.
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : null;
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (value instanceof Map) return fields([...value].map(([key, item]) => [keyText(key), item]));
  if (value instanceof Set) return [...value].map(toPlain);
  if (Array.isArray(value)) return value.map((item) => toPlain(item) ?? null);
  if (hasToJson(value)) return toPlain(value.toJSON());
  return fields(Object.entries(value));
}

const keyText = (key: unknown): string => (typeof key === 'object' ? JSON.stringify(toPlain(key)) : String(key));

const hasToJson = (value: object): value is { toJSON(): unknown } =>
  'toJSON' in value && typeof value.toJSON === 'function';

/** By definition, not assignment: a key may be "__proto__". */
const fields = (entries: readonly (readonly [string, unknown])[]): Record<string, unknown> =>
  Object.fromEntries(entries.map(([key, item]) => [key, toPlain(item)]).filter(([, made]) => made !== undefined));
