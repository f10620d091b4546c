// SPDX-License-Identifier: Apache-2.0
// What to try in a demo that was left up.
import { installedFile } from '../tasks/installed-file.ts';
import { afterRelease, frontCalls, waypoint } from './front.ts';
import type { Progress } from './progress.ts';
import { before, client, shopCalls, shopNamespace } from './shop.ts';
import type { Stage } from './stage.ts';

/** Prints commands that work as they stand. */
export function printLookAround(progress: Progress, stage: Stage): void {
  const { place, lab, config, logs } = stage;
  const { paint, line, heading } = progress;
  const flags = `--bpffs ${place.bpffs} --cgroup-root ${place.cgroupRoot} --run-dir ${place.runDir}`;
  const program = `${process.execPath} ${installedFile('bin/kmeshctl.js')}`;
  const from = `${shopNamespace}/${client}`;
  const [cart] = shopCalls(before);
  const to = `${cart?.target.host}:${cart?.target.port}`;
  const commands: (readonly [string, string])[] = [
    ['km status', 'agent, programs, maps, counters'],
    ['km dump services', 'addresses and endpoints, read from the kernel'],
    ['km dump maps frontend backend', 'the maps themselves'],
    [`km explain --from ${from} --to ${to}`, 'where a call would go, and why'],
    [
      `km exec --workload ${from} --netns ${lab.name}-${client} -- curl -s http://${to}/`,
      'a call from the frontend pod',
    ],
  ];
  if (lab.pods.has(waypoint.name)) {
    const [front] = frontCalls(afterRelease);
    commands.push([
      `km exec --workload ${from} --netns ${lab.name}-${client} -- curl -si http://${front?.target.host}/cart/items`,
      'a request through the waypoint',
    ]);
  }
  heading('Everything stays up');
  line(paint.dim('  It lives beside any mesh of this machine, in a place of its own; so first:'));
  line(`  ${paint.cyan(`alias km='${program} ${flags}'`)}\n`);
  const width = Math.max(...commands.map(([text]) => text.length));
  for (const [text, note] of commands) line(`  ${paint.cyan(text.padEnd(width))}  ${paint.dim(`# ${note}`)}`);
  line(`\n  Edit the files in ${paint.cyan(config)} and call again. Logs are in ${logs}.`);
  line(`  The next ${paint.cyan('kmeshctl demo')} (or npm start) removes all of it before it begins.`);
}
