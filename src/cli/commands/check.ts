// SPDX-License-Identifier: Apache-2.0
import { KmeshError } from '../../errors.ts';
import { toggle } from '../param.ts';
import { command } from '../spec.ts';
import { viewChecks } from '../view/checks.ts';

export const check = command({
  path: ['check'],
  group: 'Data plane',
  summary: 'look at this machine: can it run the mesh, and is what is there sound',
  description:
    'Probes every kernel feature that is needed one by one, then mounts, capabilities, libbpf, limits, pins and their layout, ' +
    "and other people's programs on the same hooks. Each finding says what to do. Without root the kernel is not probed. Exit code 1 when something fails.",
  examples: [
    { line: 'kmeshctl check', note: 'every check with its result' },
    { line: 'kmeshctl check --short', note: 'only what is not well' },
    { line: 'kmeshctl check -o json', note: 'for scripts' },
  ],
  args: {},
  flags: { short: toggle('only what is not well') },
  run: async (ctx, input) => (await import('../../tasks/check.ts')).checkNode(ctx.env, { place: ctx.place, ...input }),
  view: viewChecks,
  failure({ ok, groups }) {
    const failed = groups.flatMap(({ checks }) => checks).filter(({ state }) => state === 'failed');
    return ok ? undefined : new KmeshError('KM_CHECK_FAILED', `failed: ${failed.map(({ what }) => what).join(', ')}`);
  },
});
