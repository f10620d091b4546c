// SPDX-License-Identifier: Apache-2.0
// Which of several services at one address a client gets: its own namespace's, else the canonical one, else the first by key.

/** A service that answers at an address. */
export interface Claim {
  readonly key: string;
  readonly namespace: string;
  readonly canonical: boolean;
  /** Seen by clients of every namespace, not of its own only. */
  readonly everywhere: boolean;
  /** Prefix length of the address it claims: of two ranges the longer one is meant. */
  readonly length: number;
}

function before(a: Claim, b: Claim): boolean {
  if (a.length !== b.length) return a.length > b.length;
  if (a.canonical !== b.canonical) return a.canonical;
  return a.key < b.key;
}

/** The claim that a client of `namespace` gets; undefined namespace: one that has no claim of its own. */
function best(claims: readonly Claim[], namespace: string | undefined): Claim | undefined {
  let own: Claim | undefined;
  let other: Claim | undefined;
  for (const claim of claims) {
    if (claim.namespace === namespace) {
      if (!own || before(claim, own)) own = claim;
    } else if (claim.everywhere && (!other || before(claim, other))) other = claim;
  }
  return own ?? other;
}

/**
 * Who answers, for every client namespace. `levels`: claims at the address itself, then those of ranges around it; a level counts only
 * for clients who see nothing in the levels before it.
 * @returns one value when it holds for all, else by namespace; '' holds for those not listed (absent: they see nobody).
 */
export function rankClaims<T>(
  levels: readonly (readonly Claim[])[],
  value: (claim: Claim) => T,
): T | ReadonlyMap<string, T> {
  const pick = (namespace: string | undefined): Claim | undefined => {
    for (const claims of levels) {
      const found = best(claims, namespace);
      if (found) return found;
    }
    return undefined;
  };
  const common = pick(undefined);
  const table = new Map<string, T>();
  if (common) table.set('', value(common));
  for (const namespace of new Set(levels.flat().map((c) => c.namespace))) {
    const found = pick(namespace);
    if (found && found.key !== common?.key) table.set(namespace, value(found));
  }
  return common && table.size === 1 ? value(common) : table;
}
