// SPDX-License-Identifier: Apache-2.0
// On demand: whether an address without a frontend of its own is asked for first, as the programs decide it.
import { missState, settingFlag } from '../../abi/structs.ts';
import type { DataPlane } from '../../kernel/dataplane.ts';
import { type Address, addressBytes } from '../../net/address.ts';
import type { HeldClient } from './client.ts';

export interface Unanswered {
  readonly refused: boolean;
  readonly why: string;
}

/** Undefined: what the maps hold is all there is to say. */
export function unanswered(plane: DataPlane, client: HeldClient | undefined, address: Address): Unanswered | undefined {
  const flags = plane.map('setting').get(0)?.flags ?? 0;
  if ((flags & settingFlag.onDemand) === 0 || client?.enrolled === false) return undefined;
  if (neverAsked(address) || address === client?.address4 || address === client?.address6) return undefined;
  const state = plane.map('miss').get(address)?.state;
  if (state === missState.answered) return undefined;
  const what = state === undefined ? 'the address was not asked for yet' : 'the address is being asked for';
  const refused = (flags & settingFlag.missRefuse) !== 0;
  return { refused, why: `${what}: ${refused ? 'refused' : 'left alone'} until the answer is there` };
}

/** Unspecified, loopback, link-local, multicast, broadcast (bpf/lib/miss.bpf.h). */
function neverAsked(address: Address): boolean {
  const bytes = addressBytes(address);
  const starts = (...start: readonly number[]) => start.every((byte, i) => bytes[i] === byte);
  const mapped = starts(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
  if (mapped) {
    const [a = 0, b] = bytes.subarray(12);
    return a === 0 || a === 127 || (a === 169 && b === 254) || a >> 4 === 0xe || address === '255.255.255.255';
  }
  return address === '::' || address === '::1' || starts(0xff) || (starts(0xfe) && (bytes[1] ?? 0) >> 6 === 2);
}
