// SPDX-License-Identifier: Apache-2.0
// Numbers of things in messages.

/** "1 file", "2 files"; `many`: the plural of what does not take an s. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
