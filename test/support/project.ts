// SPDX-License-Identifier: Apache-2.0
// Where the project is, for what runs from its sources and for what runs bundled.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function folderWith(file: string, from: string): string {
  return existsSync(join(from, file)) || dirname(from) === from ? from : folderWith(file, dirname(from));
}

/** The project's folder. */
export const project = folderWith('package.json', import.meta.dirname);
