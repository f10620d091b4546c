// SPDX-License-Identifier: Apache-2.0
// How many values an entry of a per-CPU map has.
import { libbpf } from './libbpf.ts';

/** Possible CPUs of this machine (not only those that are on). */
export function possibleCpus(): number {
  return libbpf().libbpf_num_possible_cpus();
}
