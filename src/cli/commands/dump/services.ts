// SPDX-License-Identifier: Apache-2.0
import { listFlags } from '../../list-flags.ts';
import { collect, command } from '../../spec.ts';
import { viewServices } from '../../view/services.ts';

export const dumpServices = command({
  path: ['dump', 'services'],
  group: 'Looking inside',
  summary: 'list the services that the kernel balances, with their endpoints',
  description: 'Read from the kernel; no agent is needed. -o hosts prints lines for /etc/hosts.',
  examples: [
    { line: 'kmeshctl dump services', note: 'all of them' },
    { line: 'kmeshctl dump services --filter cart', note: 'those with "cart" in the name or an address' },
    { line: 'kmeshctl dump services -o hosts >> /etc/hosts', note: 'make the names resolve' },
  ],
  args: {},
  flags: listFlags,
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/show-held.ts')).showServices(ctx.env, { place: ctx.place, ...input }),
  view: viewServices,
  formats: {
    hosts: async (services) => {
      const { showHosts } = await import('../../../tasks/show-held.ts');
      return showHosts(await collect(services));
    },
  },
});
