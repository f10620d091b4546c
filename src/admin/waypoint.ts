// SPDX-License-Identifier: Apache-2.0
// What is said of the control plane of waypoints, as JSON.

/** 'server': the proxy asks for the server's certificate; 'mutual': the server asks for the proxy's as well. */
export type AdsTls = 'none' | 'server' | 'mutual';

/** Where proxies of waypoints are told their configuration. */
export interface WaypointAdsStatus {
  /** "127.0.0.1:15010"; "0.0.0.0:15010" and "[::]:15010" when it is every address of the machine. */
  readonly address: string;
  readonly tls: AdsTls;
}
