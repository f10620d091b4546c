// SPDX-License-Identifier: Apache-2.0
// What is loaded: a small pinned map of its own that says which kmeshctl loaded which objects.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { failure, libbpf, stableBytes } from './libbpf.ts';
import { openPin, pin } from './pins.ts';

/** Name of the pin in the maps folder; no program reads it. */
export const versionPin = 'version';
const arrayMap = 2;
const textSize = 256;

export interface LoadedVersion {
  /** Of the package that loaded them: "0.1.0". */
  readonly version: string;
  /** Hash over the object files. */
  readonly hash: string;
  /** KM_ABI_VERSION */
  readonly abi: number;
  /** ISO 8601 */
  readonly loadedAt: string;
}

/** Pins the record in `folder` of maps. */
export function pinVersion(folder: string, record: LoadedVersion): void {
  const fd = libbpf().bpf_map_create(arrayMap, 'km_version', 4, textSize, 1, null);
  if (fd < 0) throw new KmeshError('KM_LOAD', `map "${versionPin}" could not be created: ${failure(fd)}`);
  try {
    const value = stableBytes(textSize);
    const text = Buffer.from(JSON.stringify(record));
    if (text.length > textSize)
      throw new KmeshError('KM_INTERNAL', `the version record is longer than ${textSize} bytes`);
    value.set(text);
    const answer = libbpf().bpf_map_update_elem(fd, stableBytes(4), value, 0);
    if (answer < 0) throw new KmeshError('KM_MAP', `map "${versionPin}": update failed: ${failure(answer)}`);
    pin(fd, join(folder, versionPin));
  } finally {
    closeSync(fd);
  }
}

/** The record in `folder` of maps; undefined when nothing is loaded there. */
export function readVersion(folder: string): LoadedVersion | undefined {
  const fd = openPin(join(folder, versionPin));
  if (fd === undefined) return undefined;
  try {
    const value = stableBytes(textSize);
    const answer = libbpf().bpf_map_lookup_elem(fd, stableBytes(4), value);
    if (answer < 0) throw new KmeshError('KM_MAP', `map "${versionPin}": lookup failed: ${failure(answer)}`);
    const end = value.indexOf(0);
    return JSON.parse(Buffer.from(value.subarray(0, end < 0 ? textSize : end)).toString('utf8')) as LoadedVersion;
  } finally {
    closeSync(fd);
  }
}
