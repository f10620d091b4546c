// SPDX-License-Identifier: Apache-2.0
// Projects: rules (of the project's files), unit (anyone, anywhere), kernel (root and a real kernel), interop (real peers).
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'rules', include: ['test/*.test.ts'] } },
      {
        test: {
          name: 'unit',
          include: ['test/*/**/*.test.ts'],
          exclude: ['test/kernel/**', 'test/interop/**'],
          setupFiles: ['test/support/warnings.ts'],
          // Property tests on a busy machine take their time; a hang is still told.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/kernel/**/*.test.ts'],
          globalSetup: ['test/support/root.ts'],
          // Namespaces, cgroups and the attach point are shared by all of them.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'interop',
          include: ['test/interop/**/*.test.ts'],
          globalSetup: ['test/support/root.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
