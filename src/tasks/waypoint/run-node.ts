// SPDX-License-Identifier: Apache-2.0
// Who tells the proxies of this node: its agent, else a "waypoint serve" of the same run directory.
import { type AdminClient, adminClient, isNobody } from '../../admin/client.ts';
import type { WaypointAdsStatus } from '../../admin/waypoint.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { type Locality, noLocality } from '../../mesh/workload.ts';
import type { Known, KnownGateway } from './run-where.ts';

export interface NodeControl {
  readonly client: AdminClient;
  readonly at: WaypointAdsStatus;
}

/** Asked for each connection: whoever serves may have been started anew elsewhere. */
export async function nodeControl({ runDir }: Place): Promise<NodeControl> {
  const agent = await asked(adminClient(runDir));
  if (!(agent instanceof KmeshError)) return agent;
  const serve = await asked(adminClient(runDir, { socket: 'waypoints' }));
  if (serve instanceof KmeshError) throw nobody(agent, isNobody(serve) ? undefined : serve);
  // Its port is the only way to it, and nobody here has certificates.
  if (serve.at.tls === 'none') return serve;
  throw new KmeshError('KM_CONFIG', `"kmeshctl waypoint serve" asks for TLS at ${serve.at.address}`, {
    hint: 'an agent with --waypoint-ads has a socket for proxies of its node; or give --config DIR',
  });
}

/** Why not, where that is to be expected. */
async function asked(client: AdminClient): Promise<NodeControl | KmeshError> {
  try {
    return { client, at: await client.ads({}) };
  } catch (fault) {
    if (fault instanceof KmeshError && (fault.code === 'KM_NOT_FOUND' || fault.code === 'KM_AGENT_UNREACHABLE'))
      return fault;
    throw fault;
  }
}

function nobody(agent: KmeshError, serve: KmeshError | undefined): KmeshError {
  if (serve) return serve;
  if (agent.code === 'KM_NOT_FOUND') {
    return new KmeshError('KM_CONFIG', 'the agent of this node serves no waypoints', {
      hint: 'start it with --waypoint-ads 127.0.0.1:15010, or give --ads ADDRESS or --config DIR',
    });
  }
  const hint =
    'start it with "kmeshctl agent --waypoint-ads 127.0.0.1:15010", or "kmeshctl waypoint serve", or give --ads ADDRESS, --config DIR, or the --run-dir of either';
  return new KmeshError(agent.code, agent.message, { hint, cause: agent.cause });
}

/** What is known of a Gateway there. */
export async function knownToNode(place: Place, key: string): Promise<Known> {
  const { client } = await nodeControl(place);
  const gateway = await find(client, key);
  if (gateway) return { gateway, names: [] };
  const names: string[] = [];
  for await (const { name } of client.config({ kind: 'gateway' })) names.push(name);
  const { ready, notReady } = await client.ready({});
  return { gateway: undefined, names, ...(!ready && { unready: notReady }) };
}

async function find(client: AdminClient, key: string): Promise<KnownGateway | undefined> {
  let found: KnownGateway | undefined;
  for await (const { name, fields } of client.config({ kind: 'gateway', filter: key })) {
    if (name === key) found = fields as unknown as KnownGateway;
  }
  return found;
}

/** Which node this is and where it stands, as its agent says; by its host name where none runs. */
export async function placeOfNode(env: Env, { runDir }: Place): Promise<{ node: string; locality: Locality }> {
  try {
    const { node, locality } = await adminClient(runDir).status({});
    return { node, locality };
  } catch (error) {
    if (error instanceof KmeshError && error.code === 'KM_AGENT_UNREACHABLE')
      return { node: env.hostname(), locality: noLocality };
    throw error;
  }
}
