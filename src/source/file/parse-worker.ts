// SPDX-License-Identifier: Apache-2.0
// Entry of the thread that reads many files: answers each as it is done, then ends.
import { parentPort, workerData } from 'node:worker_threads';
import { readPathAtOnce, type ThreadAnswer, type ThreadTask } from './load.ts';

for (const { name, path } of workerData as ThreadTask) {
  const answer: ThreadAnswer = [name, readPathAtOnce(name, path)];
  parentPort?.postMessage(answer);
}
