// SPDX-License-Identifier: Apache-2.0
// A warning of the runtime (deprecation, listener leak, …) fails the run: thrown here, the runner reports it.
import process from 'node:process';

process.on('warning', (warning) => {
  throw warning;
});
