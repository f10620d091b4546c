// SPDX-License-Identifier: Apache-2.0
// The program as data: its commands and topics.
import { version } from '../version.ts';
import { commands } from './commands/index.ts';
import type { Program } from './spec.ts';

export const program: Program = {
  summary: 'A sidecarless service mesh for a Linux node: eBPF data plane, one command-line tool.',
  version,
  topics: {
    authz: { summary: 'say who may connect to whom, and whether that is enforced' },
    dump: { summary: 'print what the kernel holds and what the agent wants' },
    waypoint: { summary: 'run waypoints on this node, make them in a cluster, and see what became of them' },
  },
  commands,
};
