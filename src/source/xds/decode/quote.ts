// SPDX-License-Identifier: Apache-2.0
// Text of a peer in a message of ours.

const most = 100;

/** In quotes, without control characters, and not too long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > most ? `${text.slice(0, most)}…` : text);
}
