// SPDX-License-Identifier: Apache-2.0
import type { VersionResult } from '../../tasks/version.ts';
import type { Block, Cell } from '../spec.ts';

export function* viewVersion({ client, agent, loaded, faults }: VersionResult): Generator<Block> {
  const rows: [string, Cell][] = [['client', client.version]];
  if (agent !== undefined) rows.push(['agent', `${agent.version} on ${agent.node}, pid ${agent.pid}`]);
  if (loaded !== undefined) {
    rows.push(['programs', `${loaded.version} (${loaded.hash.slice(0, 12)}), loaded ${loaded.loadedAt}`]);
  }
  yield { kind: 'facts', rows };
  for (const fault of faults) yield { kind: 'line', text: fault, tone: 'warn' };
}
