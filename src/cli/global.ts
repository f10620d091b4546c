// SPDX-License-Identifier: Apache-2.0
// Flags that every command takes.
import { formats } from './output.ts';
import { type Input, type Param, textOr, toggle } from './param.ts';

/** '' when it is not given: the task finds the mount. */
const cgroupRoot: Param<string> = {
  placeholder: 'DIR',
  summary: 'cgroup2 folder that programs are attached to',
  fallback: 'the cgroup2 mount',
  complete: 'directory',
  env: 'KMESH_CGROUP_ROOT',
  read: (raw) => raw.at(-1) ?? '',
};

export const globalFlags = {
  /** Some commands know further formats: checked against the command. */
  output: { ...textOr('table', 'FORMAT', 'how the result is printed', { short: 'o' }), choices: formats },
  noColor: toggle('no colours (also: NO_COLOR set, or output that is not a terminal)'),
  verbose: toggle('on failure print every cause and the whole log of the kernel verifier', { short: 'v' }),
  bpffs: textOr('/sys/fs/bpf/kmesh', 'DIR', 'folder on a bpffs that holds the pins', {
    complete: 'directory',
    env: 'KMESH_BPFFS',
  }),
  cgroupRoot,
  runDir: textOr('/run/kmesh', 'DIR', "folder for the lock and the agent's socket", {
    complete: 'directory',
    env: 'KMESH_RUN_DIR',
  }),
};

export type GlobalInput = Input<typeof globalFlags>;

/** --dry-run, which commands with `changesKernel` take. */
export const dryRunFlag = { dryRun: toggle('change nothing: print what would be done') };
