// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints as the agent sees it.
import type { WaypointAdsStatus } from '../admin/waypoint.ts';
import type { Model } from '../mesh/model.ts';

export interface WaypointAds {
  readonly at: WaypointAdsStatus;
  /** The first one tells that everything is known: proxies that ask before wait for it. */
  update(model: Model): void;
  close(): void;
}
