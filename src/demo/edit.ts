// SPDX-License-Identifier: Apache-2.0
// An edit of the configuration while calls go on: none may be lost, and it must take effect soon.
import { setTimeout as pause } from 'node:timers/promises';
import { adminClient } from '../admin/client.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import type { Tally } from './protocol.ts';
import type { ShopCall } from './shop.ts';
import { addressText, type Client } from './traffic.ts';

export interface EditResult {
  /** Calls made before, during and after the edit. */
  readonly calls: number;
  readonly lost: number;
  /** From the edit to the last answer of a pod that it drained. */
  readonly milliseconds: number;
}

export interface Edit {
  /** As before the edit: nobody else may answer, before it or after. */
  readonly calls: readonly ShopCall[];
  /** Pods that answer no more. */
  readonly drained: readonly string[];
  make(): void;
  /** Resolves once it is in effect; `at`: when it was made. */
  applied(at: number): Promise<void>;
}

/** Calls of the old kind are made for so long before the edit, and of the new kind after it took effect. */
const beforeMs = 400;
const afterMs = 600;
/** An edit is in effect in well under a second, also on a busy machine; more than this is a fault. */
const limitMs = 2000;
const agentMs = 10_000;

/** Waits until the agent says that it wrote something after `since`. */
export async function written(place: Place, since: number): Promise<void> {
  for (let waited = 0; waited < agentMs; waited += 10) {
    const { lastApply } = await adminClient(place.runDir).status({});
    if (lastApply && lastApply.at >= since) return;
    await pause(10);
  }
  throw new KmeshError('KM_DEMO', 'the agent did not take up the edit within ten seconds');
}

/** What must not have happened in `tallies`, whichever moment a call fell in. */
function faultsOf(calls: readonly ShopCall[], tallies: readonly Tally[], lateness: number): string[] {
  const faults: string[] = [];
  for (const [i, tally] of tallies.entries()) {
    const where = addressText(tally.target);
    for (const [code, n] of Object.entries(tally.errors)) faults.push(`${n} calls to ${where} lost (${code})`);
    for (const name of Object.keys(tally.answers)) {
      if (!(name in (calls[i]?.weights ?? {})))
        faults.push(`"${name}" answered at ${where}, but does not belong there`);
    }
  }
  if (lateness > limitMs) faults.push(`a drained pod answered ${lateness} ms after the edit`);
  return faults;
}

/**
 * Makes the edit in the middle of calls to every address, one after the other.
 *
 * @throws KmeshError KM_DEMO naming lost calls, wrong answers, or a drained pod that answers two seconds later.
 */
export async function editUnderLoad(env: Env, client: Client, edit: Edit): Promise<EditResult> {
  const targets = edit.calls.map((call) => call.target);
  await client.order({ kind: 'begin', targets, limit: 1_000_000 });
  await pause(beforeMs);
  const at = env.now();
  edit.make();
  await edit.applied(at);
  await pause(afterMs);
  const tallies = await client.order({ kind: 'end' });
  const last = tallies.flatMap((tally) => edit.drained.map((name) => tally.last[name] ?? 0));
  const milliseconds = Math.max(0, Math.round(Math.max(...last) - at));
  const faults = faultsOf(edit.calls, tallies, milliseconds);
  if (faults.length > 0) throw new KmeshError('KM_DEMO', faults.join('; '));
  return { calls: tallies.reduce((sum, tally) => sum + tally.calls, 0), lost: 0, milliseconds };
}
