// SPDX-License-Identifier: Apache-2.0
// Verdicts of policies in words.
import type { Told, ToldRule, ToldVerdict } from '../../tasks/authz/check.ts';

/** "ALLOW shop/cart rules[0] (shop.yaml:3:9)" */
function ruleText({ policy, action, rule, place }: ToldRule): string {
  const number = rule === undefined ? '' : ` rules[${rule}]`;
  return `${action.toUpperCase()} ${policy}${number}${place === '' ? '' : ` (${place})`}`;
}

export function whyText({ why, by, reason }: ToldVerdict): string {
  if (why === 'no-allow-policy') return 'no ALLOW policy holds for it, and no DENY matches';
  if (why === 'no-match') return 'ALLOW policies hold for it, and none matches';
  if (why === 'closed') return `closed by ${by?.policy}: ${reason}`;
  return by === undefined ? why : ruleText(by);
}

/** Beside policies that are refused or stale. */
export const wrongDocuments = '"kmeshctl status" says what is wrong with which document';

/** Rules that nearly matched, a line each. */
export const nearestLines = ({ nearest }: Told): string[] =>
  nearest.map((miss) => `${ruleText(miss)} asks for ${miss.asks}`);
