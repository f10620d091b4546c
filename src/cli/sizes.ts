// SPDX-License-Identifier: Apache-2.0
// Flags that size the maps: of load, upgrade and agent.
import { texts, whole } from './param.ts';

const most = { min: 1, max: 16_777_216 };

export const sizeFlags = {
  maxFrontends: whole('N', 'room for so many frontends: address, port and protocol (default: 131072)', most),
  maxServices: whole(
    'N',
    'room for so many backends: one for each port and address family of a service (default: 131072)',
    most,
  ),
  maxEndpoints: whole('N', 'room for so many endpoints of all backends together (default: 262144)', most),
  mapSize: texts('MAP=N', 'entries of any other map by its name'),
};
