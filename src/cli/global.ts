// SPDX-License-Identifier: Apache-2.0
// Flags that every command takes.
import { formats } from './output.ts';
import { type Input, textOr, toggle } from './param.ts';

export const globalFlags = {
  /** Some commands know further formats: checked against the command. */
  output: { ...textOr('table', 'FORMAT', 'how the result is printed', { short: 'o' }), choices: formats },
  noColor: toggle('no colours (also: NO_COLOR set, or output that is not a terminal)'),
  verbose: toggle('on failure print every cause and the whole log of the kernel verifier', { short: 'v' }),
  bpffs: textOr('/sys/fs/bpf/kmesh', 'DIR', 'folder on a bpffs that holds the pins', {
    complete: 'directory',
    env: 'KMESH_BPFFS',
  }),
  cgroupRoot: textOr('', 'DIR', 'cgroup2 folder that programs are attached to (default: the cgroup2 mount)', {
    complete: 'directory',
    env: 'KMESH_CGROUP_ROOT',
  }),
  runDir: textOr('/run/kmesh', 'DIR', "folder for the lock and the agent's socket", {
    complete: 'directory',
    env: 'KMESH_RUN_DIR',
  }),
};

export type GlobalInput = Input<typeof globalFlags>;

/** --dry-run, which commands with `changesKernel` take. */
export const dryRunFlag = { dryRun: toggle('change nothing: print what would be done') };
