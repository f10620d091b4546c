// SPDX-License-Identifier: Apache-2.0
// Files of certificates as flags name them.
import { KmeshError } from '../../errors.ts';

export interface TlsFiles {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
}

/**
 * `flag`: what the flags begin with, "--" or "--waypoint-ads-".
 * @throws KmeshError KM_USAGE when some are named and others, which belong to them, are not.
 */
export function requireTogether({ tlsCert, tlsKey, clientCa }: TlsFiles, flag: string): void {
  if (tlsCert === undefined && tlsKey === undefined && clientCa === undefined) return;
  if (tlsCert !== undefined && tlsKey !== undefined) return;
  throw new KmeshError('KM_USAGE', `${flag}tls-cert and ${flag}tls-key belong together, and ${flag}client-ca to both`);
}
