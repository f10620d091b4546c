// SPDX-License-Identifier: Apache-2.0
import { toggle } from '../param.ts';
import { command } from '../spec.ts';

export const demo = command({
  path: ['demo'],
  group: 'This tool',
  summary: 'show the whole thing on a small shop of services, and check it',
  description:
    'Makes 6 pods (network namespaces with a cgroup each), a folder of YAML, loads the programs, enrols the pods, runs the ' +
    'agent, calls services, edits the YAML while calls go on, and removes everything. Where there is an Envoy it is run as a ' +
    'waypoint, and requests are routed and refused by what they say. Exit code 1 when a call is lost, goes to a wrong ' +
    'backend, or shares are off by more than 3 sigma.',
  examples: [
    { line: 'kmeshctl demo', note: 'about a minute; leaves nothing behind' },
    { line: 'kmeshctl demo --keep', note: 'leave it up to look around' },
  ],
  args: {},
  flags: { keep: toggle('leave everything up and print how to look around') },
  needsRoot: true,
  handlesSignals: true,
  run: async (ctx, input) => (await import('../../tasks/demo.ts')).runDemo(ctx.env, { place: ctx.place, ...input }),
  view: () => [],
});
