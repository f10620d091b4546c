// SPDX-License-Identifier: Apache-2.0
// What to try in a demo that was left up.
import type { Progress } from './progress.ts';
import { before, client, NAMESPACE, shopCalls } from './shop.ts';
import type { Stage } from './stage.ts';

/** Prints commands that work as they stand. */
export function printLookAround(progress: Progress, stage: Stage): void {
  const { place, lab, config, logs } = stage;
  const { paint, line, heading } = progress;
  const flags = `--bpffs ${place.bpffs} --cgroup-root ${place.cgroupRoot} --run-dir ${place.runDir}`;
  const from = `${NAMESPACE}/${client}`;
  const [cart] = shopCalls(before);
  const to = `${cart?.target.host}:${cart?.target.port}`;
  const commands: readonly (readonly [string, string])[] = [
    ['kmeshctl status', 'agent, programs, maps, counters'],
    ['kmeshctl dump services', 'addresses and endpoints, read from the kernel'],
    ['kmeshctl dump maps frontend backend', 'the maps themselves'],
    [`kmeshctl explain --from ${from} --to ${to}`, 'where a call would go, and why'],
    [
      `kmeshctl exec --workload ${from} --netns ${lab.name}-${client} -- curl -s http://${to}/`,
      'a call from the frontend pod',
    ],
  ];
  heading('Everything stays up');
  line(paint.dim('  Flags of all commands below, since the demo lives beside any mesh of this machine:'));
  line(`  KM="${flags}"\n`);
  for (const [text, note] of commands) {
    const [name, ...rest] = text.split(' -- ');
    line(`  ${paint.cyan([`${name} $KM`, ...rest].join(' -- '))}  ${paint.dim(`# ${note}`)}`);
  }
  line(`\n  Edit the files in ${paint.cyan(config)} and call again. Logs are in ${logs}.`);
  line(`  ${paint.cyan('kmeshctl demo')} removes all of it before it begins anew.`);
}
