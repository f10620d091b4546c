// SPDX-License-Identifier: Apache-2.0
// Run as a process of its own: BPFFS SEED FOLDER… Swaps for ever until it is killed.
import { swap } from '../../src/kernel/swap.ts';

const [bpffs = '', seed = '', ...folders] = process.argv.slice(2);
for (let i = Number(seed); ; i++) {
  process.stdout.write(`${i}\n`);
  const objects = folders[i % folders.length] as string;
  const frontend = 1000 + 100 * (i % 5);
  await swap({ bpffs, objects, version: String(i), now: i, sizes: { frontend, active: 2000 + (i % 3) } });
}
