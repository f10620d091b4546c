// SPDX-License-Identifier: Apache-2.0
// Flags of the agent that say how proxies of waypoints are told, and which of them make sense together.
import { KmeshError } from '../../errors.ts';
import type { ListenAddress } from '../../net/socket-address.ts';
import type { NodeSettings } from '../agent-sources.ts';
import { requireTogether, type TlsFiles } from './tls-files.ts';

export interface AdsFlags {
  /** Where proxies of waypoints are told their configuration (default: nowhere). */
  readonly waypointAds?: ListenAddress;
  readonly waypointAdsTlsCert?: string;
  readonly waypointAdsTlsKey?: string;
  readonly waypointAdsClientCa?: string;
  /** Backends of other namespaces need a ReferenceGrant. */
  readonly waypointAdsRequireGrants?: boolean;
}

/** What the flags of certificates begin with. */
export const adsFlag = '--waypoint-ads-';

export function adsTls({ waypointAdsTlsCert, waypointAdsTlsKey, waypointAdsClientCa }: AdsFlags): TlsFiles {
  return {
    ...(waypointAdsTlsCert !== undefined && { tlsCert: waypointAdsTlsCert }),
    ...(waypointAdsTlsKey !== undefined && { tlsKey: waypointAdsTlsKey }),
    ...(waypointAdsClientCa !== undefined && { clientCa: waypointAdsClientCa }),
  };
}

/** @throws KmeshError KM_USAGE */
export function checkAds(flags: AdsFlags, { xds }: Pick<NodeSettings, 'xds'>): void {
  const tls = adsTls(flags);
  if (flags.waypointAds === undefined && Object.keys(tls).length > 0) {
    throw new KmeshError('KM_USAGE', '--waypoint-ads-tls-cert, -tls-key and -client-ca need --waypoint-ads');
  }
  if (flags.waypointAds === undefined && flags.waypointAdsRequireGrants === true) {
    throw new KmeshError('KM_USAGE', '--waypoint-ads-require-grants needs --waypoint-ads');
  }
  requireTogether(tls, adsFlag);
  if (flags.waypointAds !== undefined && xds?.onDemand) {
    throw new KmeshError('KM_USAGE', '--waypoint-ads and --xds-on-demand exclude each other', {
      hint: 'proxies of waypoints are told of the whole mesh: serve them from another node, or with "kmeshctl waypoint serve"',
    });
  }
}
