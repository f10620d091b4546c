// SPDX-License-Identifier: Apache-2.0
// What the log says of refused resources: a server that sends them again and again must not fill it.
import { nackMessage, type Refusal } from './nack.ts';
import type { TypeName, XdsLog } from './types.ts';

/** Resources in one entry, and characters of each. */
const shown = { refusals: 20, characters: 500 };
const everyMs = 1000;

/** Logs at most once in a second; what it gave up meanwhile is counted in the next entry. */
export function openRefusalLog(log: XdsLog): (type: TypeName, refusals: readonly Refusal[]) => void {
  let last = Number.NEGATIVE_INFINITY;
  const before = { responses: 0, refused: 0 };
  return (type, refusals) => {
    if (refusals.length === 0) return;
    const at = performance.now();
    if (at - last < everyMs) {
      before.responses++;
      before.refused += refusals.length;
      return;
    }
    last = at;
    const first = refusals
      .slice(0, shown.refusals)
      .map((refusal) => nackMessage([refusal]))
      .map((text) => (text.length > shown.characters ? `${text.slice(0, shown.characters)}…` : text));
    const unsaid = before.responses > 0 && { before: { ...before } };
    Object.assign(before, { responses: 0, refused: 0 });
    log.warn({ type, refused: refusals.length, first, ...unsaid }, 'resources of the control plane are refused');
  };
}
