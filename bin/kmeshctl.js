#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts the built program. That it is not built is the only fault that is told here.
await import('../dist/main.js').catch((fault) => {
  if (fault.code !== 'ERR_MODULE_NOT_FOUND' || !/^Cannot find module '[^']*\/dist\/main\.js'/.test(fault.message))
    throw fault;
  process.stderr.write('error KM_IO: kmeshctl is not built\nhint: run "npm run build" in the folder that holds bin/\n');
  process.exitCode = 1;
});
