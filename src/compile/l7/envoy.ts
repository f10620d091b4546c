// SPDX-License-Identifier: Apache-2.0
// Envoy's API as plain data: the parts that waypoints use. Names are those of the API in camel case; lengths of time are milliseconds, wrapped
// numbers are numbers. waypoint/wire has the field numbers.
export type * from './envoy-extensions.ts';
export type * from './envoy-resources.ts';
