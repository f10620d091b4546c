// SPDX-License-Identifier: Apache-2.0
// Which services select a set of labels, without asking every one: a selector is filed under one of its pairs.
import { selects } from '../names.ts';
import type { Labels } from '../objects.ts';
import { openBags } from './bags.ts';
import type { Owner } from './owners.ts';

export interface Selectors {
  put(owner: Owner): void;
  remove(owner: Owner): void;
  /** Those of `namespace` whose selector fits. */
  find(namespace: string, labels: Labels): Owner[];
}

/** What an owner selects; undefined when it selects nothing. */
export function selectorOf(owner: Owner): Labels | undefined {
  if (owner.selector === undefined) return undefined;
  for (const _ in owner.selector) return owner.selector;
  return undefined;
}

export function openSelectors(): Selectors {
  const filed = openBags<Owner>();
  const place = (namespace: string, key: string, value: string) => `${namespace}/${key}=${value}`;
  const placeOf = (owner: Owner): string | undefined => {
    const selector = selectorOf(owner);
    if (selector === undefined) return undefined;
    const [key, value] = Object.entries(selector)[0] as [string, string];
    return place(owner.namespace, key, value);
  };
  return {
    put(owner) {
      const at = placeOf(owner);
      if (at !== undefined) filed.add(at, owner);
    },
    remove(owner) {
      const at = placeOf(owner);
      if (at !== undefined) filed.remove(at, owner);
    },
    find(namespace, labels) {
      const found: Owner[] = [];
      for (const key in labels) {
        for (const owner of filed.get(place(namespace, key, labels[key] as string))) {
          if (selects(owner.selector ?? {}, labels)) found.push(owner);
        }
      }
      return found;
    },
  };
}
