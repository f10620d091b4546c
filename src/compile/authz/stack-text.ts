// SPDX-License-Identifier: Apache-2.0
// Stacks as text, so that equal ones are one.
import type { SetImage } from './image.ts';

/** Equal texts stand for equal verdicts. */
export function stackText(flags: number, sets: readonly SetImage[], places: readonly number[]): string {
  return `${flags}|${sets.map(({ id }, i) => `${id}:${places[i]}`).join()}`;
}
