// SPDX-License-Identifier: Apache-2.0
// Where the control plane of waypoints says what happens.

export interface WaypointServerLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}
