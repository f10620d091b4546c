// SPDX-License-Identifier: Apache-2.0
// Makes equal parts of checked objects one value. Thousands of pods have the labels, ports and names of each other; what crosses from a
// thread comes as copies all the same.
import type { MeshObject } from './objects.ts';

/** Returns the object with its parts shared with those of every object before it. Parts are read-only, so nobody can tell. */
export type Share = (object: MeshObject) => MeshObject;

export function openShare(): Share {
  const texts = new Map<string, string>();
  const parts = new Map<string, unknown>();
  const text = (value: string): string => {
    const known = texts.get(value);
    if (known !== undefined) return known;
    texts.set(value, value);
    return value;
  };
  const part = (value: object): unknown => {
    const key = JSON.stringify(value instanceof Map ? ['map', ...value] : value);
    const known = parts.get(key);
    if (known !== undefined) return known;
    parts.set(key, value);
    return value;
  };
  return (object) => {
    const fields = object as unknown as Record<string, unknown>;
    for (const name in fields) {
      const value = fields[name];
      if (typeof value === 'string') fields[name] = text(value);
      else if (name === 'place') (value as { file: string }).file = text(object.place.file);
      else if (typeof value === 'object' && value !== null && !own.has(name)) fields[name] = part(value);
    }
    return object;
  };
}

/** Fields that hardly ever are alike. */
const own: ReadonlySet<string> = new Set(['addresses', 'hosts', 'endpoints', 'endpoint', 'given', 'rules']);
