#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0. Starts the built program; what is not built is the only fault told here.
await import('../dist/main.js').catch((fault) => (fault.code === 'ERR_MODULE_NOT_FOUND' && fault.url?.endsWith('/dist/main.js') ? (process.stderr.write('error KM_IO: kmeshctl is not built: dist/main.js does not exist\nhint: run "npm run build" in its folder\n'), (process.exitCode = 1)) : Promise.reject(fault)));
