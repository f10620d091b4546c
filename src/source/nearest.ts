// SPDX-License-Identifier: Apache-2.0
// Which of the known names somebody meant who wrote another one.

/** The one that a few characters make of `name`, letters of either case being alike; undefined: none is near. Of several the first. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const text = name.toLowerCase();
  let least = Math.min(3, Math.floor(name.length / 3)) + 1;
  let best: string | undefined;
  for (const other of known) {
    if (Math.abs(other.length - name.length) >= least) continue;
    const far = distance(text, other.toLowerCase());
    if (far < least) [best, least] = [other, far];
  }
  return best;
}

/** How many characters must be changed, added, left out, or change places with the next one. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (before[j - 2] as number) + 1);
      }
      next.push(least);
    }
    [before, row] = [row, next];
  }
  return row[b.length] as number;
}
