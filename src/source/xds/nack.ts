// SPDX-License-Identifier: Apache-2.0
// The text of a NACK.

/** A resource that is refused, with everything that is wrong with it. */
export interface Refusal {
  readonly name: string;
  readonly faults: readonly string[];
}

/** Bytes of the text at most: it travels to the server and into its log. */
export const maxNackBytes = 64 * 1024;
/** Room for "; and 123456 more resources". */
const tailBytes = 40;

/** "name: fault; fault; name2: fault", cut at 64 KiB with the number of resources that are missing. */
export function nackMessage(refusals: readonly Refusal[]): string {
  const parts: string[] = [];
  let left = maxNackBytes - tailBytes;
  for (const { name, faults } of refusals) {
    const part = `${name}: ${faults.join('; ')}`;
    const bytes = Buffer.byteLength(part) + 2;
    if (bytes > left) {
      if (parts.length === 0) parts.push(cut(part, left));
      break;
    }
    parts.push(part);
    left -= bytes;
  }
  const missing = refusals.length - parts.length;
  return parts.join('; ') + (missing === 0 ? '' : `; and ${missing} more ${missing === 1 ? 'resource' : 'resources'}`);
}

/** As much of `text` as `bytes` hold, no character in halves. */
function cut(text: string, bytes: number): string {
  const whole = Buffer.from(text)
    .subarray(0, bytes - 3)
    .toString();
  return `${whole.replace(/\ufffd+$/, '')}…`;
}
