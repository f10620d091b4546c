// SPDX-License-Identifier: Apache-2.0
// What was installed in one line; what a dry run would write, whole.
import type { InstallResult } from '../../tasks/install.ts';
import type { Block } from '../spec.ts';
import { viewChange } from './change.ts';

export function* viewInstall(result: InstallResult): Generator<Block> {
  if (result.dryRun) {
    for (const { path, text } of result.files) yield { kind: 'raw', text: `==> ${path}\n${text}\n` };
  }
  yield* viewChange(result);
}
