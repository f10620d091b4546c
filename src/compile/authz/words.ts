// SPDX-License-Identifier: Apache-2.0
// What a rule asks of a connection and what the connection is, in words.
import { conjunctionsOf, type Dimension, type Literal } from '../../mesh/conjunction.ts';
import type { Policy } from '../../mesh/policy.ts';

const attributes: Readonly<Record<string, string>> = { n: 'namespace', p: 'principal', a: 'service account' };

/** "n^sh" as "namespace sh*" */
function identityText(atom: string): string {
  const attribute = attributes[atom[0] as string];
  const value = atom.slice(2);
  const shown = { '=': value, '^': `${value}*`, $: `*${value}`, '+': '*' }[atom[1] as string];
  return `${attribute} ${shown}`;
}

const words: Readonly<Record<Exclude<Dimension, 'identity'>, string>> = {
  source: 'source address',
  destination: 'destination address',
  port: 'port',
};

/** Values that are listed; of more only how many. */
const most = 4;

function literalText({ dimension, not, atoms }: Literal): string {
  const texts = atoms.slice(0, most).map((atom) => (dimension === 'identity' ? identityText(atom) : atom));
  const more = atoms.length > most ? ` or ${atoms.length - most} more` : '';
  const what = dimension === 'identity' ? '' : `${words[dimension]} `;
  return `${not ? 'not ' : ''}${what}${texts.join(' or ')}${more}`;
}

/** What a rule of a policy asks of these values, each alternative once: "port 80", "namespace shop or principal x". */
export function asksText(policy: Policy, rule: number, of: readonly Dimension[]): string {
  const alternatives = new Set<string>();
  for (const conjunction of conjunctionsOf(policy)?.[rule] ?? []) {
    const literals = conjunction.filter(({ dimension }) => of.includes(dimension));
    if (literals.length > 0) alternatives.add(literals.map(literalText).join(' and '));
  }
  const [first, ...others] = alternatives;
  if (first === undefined)
    return of.map((dimension) => (dimension === 'identity' ? dimension : words[dimension])).join(', ');
  return others.length === 0 ? first : `${first} (or ${others.length} other ways)`;
}
