// SPDX-License-Identifier: Apache-2.0
// Swaps the loaded programs for those of this kmeshctl, in place; maps of another layout or size are filled first.
import { withLock } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { loadedVersion } from '../kernel/pinned.ts';
import { previewSwap, swap } from '../kernel/swap.ts';
import type { SwapPlan } from '../kernel/swap-plan.ts';
import { recover } from '../kernel/swap-recovery.ts';
import { version } from '../version.ts';
import type { ChangeResult, Step } from './change.ts';
import { convertMap } from './convert-map.ts';
import { mapSizes, type SizeOptions } from './size-options.ts';

export interface UpgradeOptions extends SizeOptions {
  readonly place: Place;
  readonly dryRun: boolean;
  /** Folder of *.bpf.o; default: those of this installation. */
  readonly objects?: string | undefined;
}

/**
 * Counters start anew when their layout changes: nothing depends on them. What the ring of misses reports is in the map `miss` as well; what
 * that of denials does is lost.
 */
const startsAnew: ReadonlySet<string> = new Set(['reason', 'misses', 'authz_hit', 'denial_limit', 'denials']);

function stepsOf(plan: SwapPlan): Step[] {
  return [
    ...plan.replaced.map(({ map, from, to, copied }) => ({
      action: 'replace',
      what: `map ${map}`,
      detail: `${from} -> ${to} entries, ${from === 0 ? 'new' : copied ? 'copied' : startsAnew.has(map) ? 'starts anew' : 'converted'}`,
    })),
    ...plan.dropped.map((name) => ({ action: 'remove', what: `map ${name}` })),
    { action: 'switch', what: 'every link', detail: `${plan.kept.length} maps are kept` },
  ];
}

/** Swaps. What is up to date already is left alone. Connections stay, and go on showing the address they dialled. */
export async function upgradePrograms(env: Env, options: UpgradeOptions): Promise<ChangeResult> {
  const { place, dryRun } = options;
  const { bpffs } = place;
  const asked = {
    bpffs,
    sizes: mapSizes(options),
    ...(options.objects === undefined ? {} : { objects: options.objects }),
  };
  const work = async (): Promise<ChangeResult> => {
    if (!dryRun) recover(bpffs);
    const plan = previewSwap(asked);
    const before = loadedVersion(bpffs);
    if (before?.hash === plan.hash && before.version === version && plan.replaced.length === 0) {
      return { dryRun, summary: `kmeshctl ${version} is loaded already`, steps: [] };
    }
    const steps = stepsOf(plan);
    if (dryRun) return { dryRun, summary: 'nothing was changed', steps };
    const fill = (staged: DataPlane, { replaced }: SwapPlan) => {
      const changed = replaced.filter(({ map, from, copied }) => !copied && from > 0 && !startsAnew.has(map));
      const settle = changed.map(({ map }) => convertMap(bpffs, map, staged));
      return () => {
        for (const step of settle) step();
      };
    };
    const report = await swap({ ...asked, version, now: env.now(), fill });
    return { dryRun, summary: `${report.before?.version ?? 'unknown'} -> ${report.after.version}`, steps };
  };
  return dryRun ? work() : withLock(place.runDir, { command: 'kmeshctl upgrade' }, work);
}
