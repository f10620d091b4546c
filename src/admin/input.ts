// SPDX-License-Identifier: Apache-2.0
// A request's input against its route: every fault at once.
import type { Route } from './routes.ts';
import type { Json } from './types.ts';

export type InputResult =
  | { readonly ok: true; readonly value: Readonly<Record<string, string | number | boolean>> }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Reads `given` (query strings or JSON values) as the route's input. */
export function parseInput(route: Route, given: Readonly<Record<string, Json>>): InputResult {
  const faults: string[] = [];
  const value: Record<string, string | number | boolean> = {};
  for (const name of Object.keys(given)) if (!Object.hasOwn(route.input, name)) faults.push(`unknown field "${name}"`);
  for (const [name, field] of Object.entries(route.input)) {
    const raw = Object.hasOwn(given, name) ? given[name] : undefined;
    if (raw === undefined) {
      if (field.required) faults.push(`"${name}" is missing`);
    } else if (field.type === 'number') {
      const n = typeof raw === 'string' && raw.trim() !== '' ? Number(raw) : raw;
      if (typeof n !== 'number' || !Number.isSafeInteger(n) || n < 0)
        faults.push(`"${name}" is not a whole number from 0`);
      else value[name] = n;
    } else if (field.type === 'boolean') {
      if (raw === true || raw === 'true') value[name] = true;
      else if (raw === false || raw === 'false') value[name] = false;
      else faults.push(`"${name}" is neither true nor false`);
    } else if (typeof raw !== 'string') {
      faults.push(`"${name}" is not a string`);
    } else if (field.type !== 'string' && !field.type.includes(raw)) {
      faults.push(`"${name}" is none of ${field.type.join(', ')}`);
    } else {
      value[name] = raw;
    }
  }
  return faults.length === 0 ? { ok: true, value } : { ok: false, faults };
}
