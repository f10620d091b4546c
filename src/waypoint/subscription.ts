// SPDX-License-Identifier: Apache-2.0
// What one stream knows of one sort of resources: what is wanted, what was told, taken and refused.
import { createHash } from 'node:crypto';
import type { Resource } from './messages.ts';
import type { Narrowing } from './narrowing.ts';

/** Held from an earlier stream, perhaps of another server: without bytes when they are not known here. */
export type Taken = Pick<Resource, 'name' | 'version'> & { readonly bytes?: Uint8Array };

/** An answer that is not answered yet. */
export interface Told {
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
  readonly bytes: number;
}

export interface Subscription {
  /** Everything is wanted. */
  whole: boolean;
  /** Something was asked for by name: from then on nothing named is nothing wanted. */
  named: boolean;
  readonly names: Set<string>;
  /** Name -> version that the client was told last; '': that there is none. */
  readonly told: Map<string, string>;
  /** Name -> what the client uses. */
  readonly taken: Map<string, Taken>;
  /** Names in answers that were refused for others: the client may use what they told, or not. */
  readonly doubtful: Set<string>;
  /** Name -> version -> why the client refuses it. */
  readonly refused: Map<string, Map<string, string>>;
  /** Name -> which of its parts are refused. */
  readonly narrowed: Map<string, Narrowing>;
  /** Nonce -> what it told, until it is answered. */
  readonly open: Map<string, Told>;
  /** To be told when the client has answered what it was told before; true: in any case. */
  readonly due: Map<string, boolean>;
  /** The client waits for an answer, whatever there is. */
  owed: boolean;
  lastNonce: string;
  version: string;
  responses: number;
  acks: number;
  nacks: number;
}

export function newSubscription(): Subscription {
  return {
    ...{ whole: false, named: false, names: new Set(), told: new Map(), taken: new Map(), refused: new Map() },
    ...{ doubtful: new Set(), narrowed: new Map() },
    ...{ open: new Map(), due: new Map(), owed: false, lastNonce: '', version: '', responses: 0, acks: 0, nacks: 0 },
  };
}

/** Told that there is none. */
export const nothing = '';

/** The client does not want it any more. */
export function forget(of: Subscription, name: string): void {
  of.told.delete(name);
  of.taken.delete(name);
  of.doubtful.delete(name);
  of.refused.delete(name);
  of.narrowed.delete(name);
  of.due.delete(name);
}

/**
 * What the client is to have: `now`, or what stands in for it once that is refused. 'kept': what it has already, whose bytes are not known here.
 */
export function standing(of: Subscription, now: Resource, best: Resource | undefined): Resource | 'kept' | undefined {
  const refused = of.refused.get(now.name);
  if (!refused?.has(now.version)) return now;
  const parts = of.narrowed.get(now.name);
  if (parts?.of === now.version && parts.stands) return parts.stands;
  const taken = of.taken.get(now.name);
  if (taken && !refused.has(taken.version)) return isWhole(taken) ? taken : 'kept';
  return best && !refused.has(best.version) ? best : undefined;
}

const isWhole = (taken: Taken): taken is Resource => taken.bytes !== undefined;

/** What the client has, when its bytes are known. */
export function wholeOf({ taken }: Subscription, name: string): Resource | undefined {
  const one = taken.get(name);
  return one && isWhole(one) ? one : undefined;
}

/** Another version is there: what is known to be refused of it is not asked again. */
export function renew(of: Subscription, name: string, now: Resource | undefined): void {
  const [parts, versions] = [of.narrowed.get(name), of.refused.get(name)];
  of.refused.delete(name);
  of.narrowed.delete(name);
  const again = now && parts?.again(now, wholeOf(of, name));
  if (!again) return;
  of.narrowed.set(name, again);
  of.refused.set(name, new Map([[now.version, versions?.get(parts?.of ?? '') ?? '']]));
}

/** The version of all that was told: equal for equal names and versions, whoever tells them. */
function versionOf(told: Iterable<readonly [name: string, version: string]>): string {
  const lines = Array.from(told, ([name, version]) => `${name} ${version}\n`);
  return createHash('sha256').update(lines.sort().join('')).digest('hex').slice(0, 16);
}

/** Of all that was told. */
export const stateOf = ({ told }: Subscription): string =>
  versionOf([...told].filter(([, version]) => version !== nothing));

/** What remembering it takes, roughly. */
export const costOfName = (name: string): number => name.length + 100;

/** Those whose names stand in `error` by themselves. */
export function namedIn(error: string, resources: readonly Resource[]): Resource[] {
  return resources.filter(({ name }) => {
    for (let at = error.indexOf(name); at !== -1 && name !== ''; at = error.indexOf(name, at + 1)) {
      const rest = error.slice(at + name.length);
      if (!isInside.test(error.slice(Math.max(0, at - 1), at)) && !goesOn.test(rest)) return true;
    }
    return false;
  });
}

const isInside = /[\w/|-]$/;
/** A full stop at the end of a sentence belongs to no name. */
const goesOn = /^(?:[\w/|-]|\.\w)/;
