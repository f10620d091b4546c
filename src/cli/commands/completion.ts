// SPDX-License-Identifier: Apache-2.0
import { requiredChoice } from '../param.ts';
import { command } from '../spec.ts';

export const completion = command({
  path: ['completion'],
  group: 'This tool',
  summary: 'print the completion script of a shell',
  description: 'The same files are in completions/.',
  examples: [
    { line: 'source <(kmeshctl completion bash)', note: 'for this bash' },
    { line: 'kmeshctl completion zsh > ~/.zfunc/_kmeshctl', note: 'zsh, in a folder of $fpath' },
    { line: 'kmeshctl completion fish > ~/.config/fish/completions/kmeshctl.fish', note: 'fish' },
  ],
  args: { shell: requiredChoice(['bash', 'zsh', 'fish'], 'SHELL', 'the shell') },
  flags: {},
  run: async (ctx, { shell }) => (await import('../completion/script.ts')).completionScript(ctx.program, shell),
  view: (script) => [{ kind: 'raw', text: script }],
});
