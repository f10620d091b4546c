// SPDX-License-Identifier: Apache-2.0
// Failures of map operations, in one form for the kernel and the memory backend.
import { constants } from 'node:os';
import type { MapName } from '../abi/maps.ts';
import { KmeshError } from '../errors.ts';
import { sizeFlag } from './sizes.ts';

/** Numbers that user space's errno.h does not know but bpf(2) answers with. */
const kernelOnly: Readonly<Record<number, string>> = { 524: 'ENOTSUPP' };
// The first name of a number wins: EAGAIN before EWOULDBLOCK, EOPNOTSUPP before ENOTSUP.
const synonyms: ReadonlySet<string> = new Set(['EWOULDBLOCK', 'ENOTSUP']);

export type ErrnoName = keyof typeof constants.errno | 'ENOTSUPP';

/** "ENOSPC" for 28; "errno 4095" when it has no name. */
export function errnoName(errno: number): string {
  for (const [name, value] of Object.entries(constants.errno)) {
    if (value === errno && !synonyms.has(name)) return name;
  }
  return kernelOnly[errno] ?? `errno ${errno}`;
}

export interface MapFault {
  readonly map: MapName;
  /** update, lookup, delete, walk */
  readonly operation: string;
  readonly errno: string;
  readonly maxEntries: number;
  /** Of a batch: how many were done, of how many. */
  readonly done?: number;
  readonly total?: number;
}

/** KM_MAP_FULL when the map had no room (E2BIG, ENOSPC on update), else KM_MAP. facts: map, errno, written. */
export function mapError(fault: MapFault): KmeshError {
  const { map, operation, errno, maxEntries } = fault;
  const facts = { map, errno, written: fault.done ?? 0 };
  const batch = fault.total === undefined || fault.total === 1 ? '' : ` after ${fault.done ?? 0} of ${fault.total}`;
  if (operation === 'update' && (errno === 'E2BIG' || errno === 'ENOSPC')) {
    const flag = sizeFlag(map);
    return new KmeshError('KM_MAP_FULL', `map "${map}" is full: ${maxEntries} entries${batch} (update: ${errno})`, {
      ...(flag === undefined ? {} : { hint: `give it more room with ${flag}` }),
      facts,
    });
  }
  return new KmeshError('KM_MAP', `map "${map}": ${operation} failed${batch}: ${errno}`, { facts });
}
