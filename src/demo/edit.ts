// SPDX-License-Identifier: Apache-2.0
// An edit of the configuration while calls go on: none may be lost, and it must take effect soon.
import { setTimeout as pause } from 'node:timers/promises';
import { adminClient } from '../admin/client.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import type { Tally } from './protocol.ts';
import { after, before, shopCalls } from './shop.ts';
import type { Client } from './traffic.ts';

export interface EditResult {
  /** Calls made before, during and after the edit. */
  readonly calls: number;
  readonly lost: number;
  /** From the edit to the last answer of the pod that it drained. */
  readonly milliseconds: number;
}

/** Calls of the old kind are made for so long before the edit, and of the new kind after it took effect. */
const BEFORE_MS = 400;
const AFTER_MS = 600;
/** The kernel holds an edit in well under a second, also on a busy machine; more than this is a fault. */
const LIMIT_MS = 2000;
const AGENT_MS = 10_000;

/** Waits until the agent says that it wrote something after `since`. */
async function written(place: Place, since: number): Promise<void> {
  for (let waited = 0; waited < AGENT_MS; waited += 10) {
    const { lastApply } = await adminClient(place.runDir).status({});
    if (lastApply && lastApply.at >= since) return;
    await pause(10);
  }
  throw new KmeshError('KM_DEMO', 'the agent did not take up the edit within ten seconds');
}

/** What must not have happened in `tallies`, whichever moment a call fell in. */
function faultsOf(tallies: readonly Tally[], lateness: number): string[] {
  const faults: string[] = [];
  const weights = shopCalls(before).map((call) => call.weights);
  for (const [i, tally] of tallies.entries()) {
    const { host, port } = tally.target;
    const where = `${host} port ${port}`;
    for (const [code, n] of Object.entries(tally.errors)) faults.push(`${n} calls to ${where} lost (${code})`);
    for (const name of Object.keys(tally.answers)) {
      if (!(name in (weights[i] ?? {}))) faults.push(`"${name}" answered at ${where}, but does not belong there`);
    }
  }
  if (lateness > LIMIT_MS) faults.push(`a drained pod answered ${lateness} ms after the edit`);
  return faults;
}

/**
 * Makes the edit in the middle of calls to every address, one after the other.
 *
 * @throws KmeshError KM_DEMO naming lost calls, wrong answers, or a drained pod that answers two seconds later.
 */
export async function editUnderLoad(env: Env, place: Place, client: Client, edit: () => void): Promise<EditResult> {
  const targets = shopCalls(before).map((call) => call.target);
  await client.order({ kind: 'begin', targets, limit: 1_000_000 });
  await pause(BEFORE_MS);
  const at = env.now();
  edit();
  await written(place, at);
  await pause(AFTER_MS);
  const tallies = await client.order({ kind: 'end' });
  const last = tallies.flatMap((tally) => after.drained.map((name) => tally.last[name] ?? 0));
  const milliseconds = Math.max(0, Math.round(Math.max(...last) - at));
  const faults = faultsOf(tallies, milliseconds);
  if (faults.length > 0) throw new KmeshError('KM_DEMO', faults.join('; '));
  return { calls: tallies.reduce((sum, tally) => sum + tally.calls, 0), lost: 0, milliseconds };
}
