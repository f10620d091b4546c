// SPDX-License-Identifier: Apache-2.0
// Figures as lines: what, how much, the limit it is held to, and whether it was met.

export interface Line {
  readonly what: string;
  readonly figure: string;
  readonly limit?: string;
  /** Absent: a figure without a limit. */
  readonly met?: boolean;
}

/** Prints one block and hands the lines on. */
export function report(title: string, lines: readonly Line[]): Line[] {
  const width = Math.max(...lines.map((line) => line.what.length));
  process.stdout.write(`\n${title}\n`);
  for (const { what, figure, limit, met } of lines) {
    const verdict = met === undefined ? '' : met ? `  (${limit}: met)` : `  (${limit}: NOT MET)`;
    process.stdout.write(`  ${what.padEnd(width)}  ${figure}${verdict}\n`);
  }
  return [...lines];
}
