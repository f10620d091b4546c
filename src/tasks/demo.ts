// SPDX-License-Identifier: Apache-2.0
// The demo as a task: src/demo holds it.
export { type DemoOptions, type DemoResult, runDemo } from '../demo/demo.ts';
