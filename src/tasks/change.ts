// SPDX-License-Identifier: Apache-2.0
// What a command that changes the kernel answers: the steps it took, or with --dry-run would take.

export interface Step {
  /** "load", "attach", "pin", "write", "remove", "detach", "switch", "mount" */
  readonly action: string;
  /** The thing: "program connect4", "map frontend", "cgroup kubepods.slice/pod1". */
  readonly what: string;
  readonly detail?: string;
}

export interface ChangeResult {
  readonly dryRun: boolean;
  /** One line for people: "7 programs loaded". */
  readonly summary: string;
  readonly steps: readonly Step[];
}
