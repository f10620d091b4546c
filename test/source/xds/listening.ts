// SPDX-License-Identifier: Apache-2.0
// An xDS source whose news are written down.
import type { Change } from '../../../src/mesh/model.ts';
import { policyKey } from '../../../src/mesh/policy.ts';
import { serviceKey } from '../../../src/mesh/service.ts';
import type { News } from '../../../src/source/news.ts';
import { readXdsSettings, type XdsFlags } from '../../../src/source/xds/settings.ts';
import { openXdsSource, type XdsSource, type XdsSourceOptions } from '../../../src/source/xds/source.ts';

export interface Listening {
  readonly source: XdsSource;
  readonly news: News[];
  readonly logged: { readonly level: string; readonly facts: object; readonly message: string }[];
  readonly answers: { readonly present: readonly string[]; readonly absent: readonly string[] }[];
  /** "workload UID" and so on of all there is, by the news so far. */
  state(): string[];
  close(): Promise<void>;
}

type Options = Partial<XdsSourceOptions> & { readonly port: number; readonly flags?: XdsFlags; readonly host?: string };

export function openListening(options: Options): Listening {
  const news: News[] = [];
  const logged: Listening['logged'] = [];
  const answers: { present: string[]; absent: readonly string[] }[] = [];
  const held = new Set<string>();
  const log = (level: string) => (facts: object, message: string) => void logged.push({ level, facts, message });
  const flags = { xds: `${options.host ?? '127.0.0.1'}:${options.port}`, xdsPlaintext: true, ...options.flags };
  const settings = readXdsSettings(flags, {}, { hostname: 'node-a', hasConfig: false });
  if (!settings) throw new Error('no settings');
  const source = openXdsSource({
    settings,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    now: () => Date.now(),
    // Without pauses, tests are quick.
    random: () => 0,
    onAnswer: (present, absent) => answers.push({ present: [...present], absent }),
    ...options,
    async tell(told) {
      news.push(told);
      for (const change of told.changes) note(held, change);
      await options.tell?.(told);
    },
  });
  return { source, news, logged, answers, state: () => [...held].sort(), close: () => source.close() };
}

function note(held: Set<string>, change: Change): void {
  switch (change.kind) {
    case 'put-workload':
      held.add(`workload ${change.workload.uid}`);
      break;
    case 'remove-workload':
      held.delete(`workload ${change.uid}`);
      break;
    case 'put-service':
      held.add(`service ${serviceKey(change.service)}`);
      break;
    case 'remove-service':
      held.delete(`service ${change.key}`);
      break;
    case 'put-policy':
      held.add(`policy ${policyKey(change.policy)}`);
      break;
    case 'remove-policy':
      held.delete(`policy ${change.key}`);
      break;
  }
}

/** Waits for `condition`. */
export async function until(condition: () => boolean, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
