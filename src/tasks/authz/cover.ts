// SPDX-License-Identifier: Apache-2.0
// Whether everything that one conjunction matches another one matches too. What it says is so; what it does not say may be so all the same.
import type { Conjunction, Literal } from '../../mesh/conjunction.ts';
import { parseAddress } from '../../net/address.ts';
import { addressBits, type Cidr, cidrCovers, parseCidr } from '../../net/cidr.ts';

const known = new Map<string, Cidr>();
const mostKnown = 100_000;

function rangeOf(atom: string): Cidr {
  const before = known.get(atom);
  if (before) return before;
  const address = parseAddress(atom);
  const range = address === undefined ? (parseCidr(atom) as Cidr) : { address, length: addressBits(address) };
  if (known.size >= mostKnown) known.clear();
  known.set(atom, range);
  return range;
}

/** "cluster.local/ns/shop/sa/cart" in its parts. */
const principal = /^[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/;

/** True when a value for which `a` holds is one for which `b` holds. */
function implies(a: string, b: string, { dimension }: Literal): boolean {
  if (a === b) return true;
  if (dimension === 'port') return false;
  if (dimension !== 'identity') return cidrCovers(rangeOf(b), rangeOf(a));
  const [value, other] = [a.slice(2), b.slice(2)];
  if (a[0] === b[0] && a[0] !== 'a') {
    if (b[1] === '+') return value !== '' || a[1] === '+';
    if (b[1] === '^') return (a[1] === '=' || a[1] === '^') && value.startsWith(other);
    if (b[1] === '$') return (a[1] === '=' || a[1] === '$') && value.endsWith(other);
    return false;
  }
  // A principal, and an account, has a namespace; whoever has an account has a principal.
  if (a.startsWith('p=')) {
    const [, namespace, account] = principal.exec(value) ?? [];
    if (namespace === undefined) return false;
    if (b[0] === 'a') return `${namespace}/${account}` === other;
    return implies(`n=${namespace}`, b, { dimension, not: false, atoms: [] });
  }
  if (b === 'p+') return a[0] === 'a' || a === 'n+' || (a[0] === 'n' && value !== '');
  if (a[0] === 'a' && b[0] === 'n') return implies(`n=${value.split('/')[0]}`, b, { dimension, not: false, atoms: [] });
  return false;
}

/** True when no value is one for which both hold. */
function excludes(a: string, b: string, { dimension }: Literal): boolean {
  if (dimension === 'port') return a !== b;
  if (dimension !== 'identity') return !cidrCovers(rangeOf(a), rangeOf(b)) && !cidrCovers(rangeOf(b), rangeOf(a));
  return a[0] === b[0] && a[1] === '=' && b[1] === '=' && a !== b;
}

function literalCovers(b: Literal, a: Literal): boolean {
  if (a.dimension !== b.dimension) return false;
  if (!b.not) return !a.not && a.atoms.every((x) => b.atoms.some((y) => implies(x, y, b)));
  if (a.not) return b.atoms.every((y) => a.atoms.some((x) => implies(y, x, b)));
  return b.atoms.every((y) => a.atoms.every((x) => excludes(x, y, b)));
}

/** How many atoms are compared at most to tell whether one covers the other. */
export function coverCost(wide: Conjunction, narrow: Conjunction): number {
  const atoms = (of: Conjunction) => of.reduce((sum, literal) => sum + literal.atoms.length, 1);
  return atoms(wide) * atoms(narrow);
}

/** True when `wide` holds wherever `narrow` does. */
export function covers(wide: Conjunction, narrow: Conjunction): boolean {
  return wide.every((literal) => narrow.some((own) => literalCovers(literal, own)));
}
