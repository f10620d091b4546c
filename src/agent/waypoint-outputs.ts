// SPDX-License-Identifier: Apache-2.0
// Metrics, health and status over HTTP of a process that serves waypoints and is no agent.
import { abiVersion } from '../abi/structs.ts';
import type { ListenAddress } from '../net/socket-address.ts';
import type { WaypointFacts } from '../outputs/facts.ts';

export interface ShownWaypoints {
  readonly version: string;
  facts(): WaypointFacts;
  /** Why not; none: ready. */
  notReady(): readonly string[];
  /** As JSON, at "/". */
  status(): unknown;
}

/** @throws KmeshError KM_LISTEN */
export async function openWaypointOutputs(listen: ListenAddress, shown: ShownWaypoints) {
  const [{ waypointOnlyMetrics }, { openOutputServer }] = await Promise.all([
    import('../outputs/registry.ts'),
    import('../outputs/server.ts'),
  ]);
  const metrics = waypointOnlyMetrics({ version: shown.version, abiVersion });
  return openOutputServer(
    listen,
    {
      metrics: { contentType: metrics.contentType, text: () => metrics.text(shown.facts()) },
      notReady: () => shown.notReady(),
      status: () => shown.status(),
    },
    '--status',
  );
}
