// SPDX-License-Identifier: Apache-2.0
// The thread that reads many files, as an option of whoever reads them.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Its script lies beside the bundle; from the sources everything is read in the thread that asks. */
export function readingThread(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
