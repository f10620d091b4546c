// SPDX-License-Identifier: Apache-2.0
// Files of this installation that are started as processes of their own.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KmeshError } from '../errors.ts';

/** Path of `name` ("bin/kmeshctl.js", "dist/demo-server.js") below the root of the package. @throws KmeshError KM_NOT_FOUND */
export function installedFile(name: string): string {
  // From dist/ it is one level up, from the sources two.
  let at = dirname(fileURLToPath(import.meta.url));
  for (let i = 0; i < 4; i++, at = dirname(at)) {
    const path = join(at, name);
    if (existsSync(path) && existsSync(join(at, 'package.json'))) return path;
  }
  throw new KmeshError('KM_NOT_FOUND', `"${name}" of this installation was not found`, { hint: 'npm run build' });
}
