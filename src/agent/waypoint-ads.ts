// SPDX-License-Identifier: Apache-2.0
// The control plane of waypoints as the agent sees it.
import type { WaypointAdsStatus, WaypointItem } from '../admin/waypoint.ts';
import type { Model } from '../mesh/model.ts';
import type { WaypointFacts } from '../outputs/facts.ts';

export type { WaypointFacts } from '../outputs/facts.ts';

export interface WaypointAds {
  readonly at: WaypointAdsStatus;
  /** The first one tells that everything is known: proxies that ask before wait for it. */
  update(model: Model): void;
  /** Reads certificates again. */
  reload(): void;
  /** Waypoints by name, then routes by name. */
  items(): Iterable<WaypointItem>;
  facts(): WaypointFacts;
  /** Reasons of routes and policies that have no effect, or not all of it -> how many. */
  conditions(): WaypointFacts['conditions'];
  close(): void;
}
