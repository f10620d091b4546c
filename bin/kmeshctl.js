#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the built program. That it is not built is the only fault that is told here.
import { existsSync } from 'node:fs';

if (existsSync(new URL('../dist/main.js', import.meta.url))) await import('../dist/main.js');
else {
  process.stderr.write('error KM_IO: kmeshctl is not built\nhint: run "npm run build" in the folder that holds bin/\n');
  process.exitCode = 1;
}
