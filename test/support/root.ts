// SPDX-License-Identifier: Apache-2.0
// Tests of the real kernel fail at once and clearly without root: a skip would look like a pass.
import process from 'node:process';

export function setup(): void {
  if (process.geteuid?.() !== 0) {
    throw new Error('these tests load programs into the kernel and need root: run them as root (or `sudo npm test`)');
  }
}
