// SPDX-License-Identifier: Apache-2.0
// Services and workloads as the kernel holds them.
import { socketAddressText } from '../../net/socket-address.ts';
import type { ServiceBackend, ServiceFrontend, ServiceRow, WorkloadRow } from '../../tasks/show-held.ts';
import type { Block, Cell } from '../spec.ts';
import { percentText } from './percent.ts';

const frontendText = ({ address, port, protocol, namespace }: ServiceFrontend): string =>
  `${socketAddressText(address, port)}${protocol === 'udp' ? '/udp' : ''}${namespace === undefined ? '' : ` for ${namespace}`}`;

function policyText({ policy, affinitySeconds, passthrough }: ServiceBackend): string {
  if (passthrough) return 'left alone';
  return affinitySeconds > 0 ? `${policy}, affinity ${affinitySeconds} s` : policy;
}

/** A line for each endpoint; what repeats from the line above is left out. */
function* serviceLines({ service, backends }: ServiceRow): Generator<readonly Cell[]> {
  let name = service;
  for (const backend of backends) {
    const { frontends, endpoints, emptyDirect } = backend;
    let policy = policyText(backend);
    let through = backend.waypoint ?? '';
    for (let line = 0; line < Math.max(frontends.length, endpoints.length, 1); line++) {
      const frontend = frontends[line];
      const endpoint = endpoints[line];
      const none: Cell = line > 0 ? '' : { text: emptyDirect ? 'none: left alone' : 'none: refused', tone: 'warn' };
      yield [
        { text: name, tone: 'strong' },
        frontend === undefined ? '' : frontendText(frontend),
        policy,
        through,
        endpoint === undefined ? none : socketAddressText(endpoint.address, endpoint.port),
        endpoint?.workload ?? '',
        endpoint === undefined ? '' : percentText(endpoint.probability),
      ];
      name = '';
      policy = '';
      through = '';
    }
  }
}

async function* lines<T>(
  items: AsyncIterable<T>,
  of: (item: T) => Iterable<readonly Cell[]>,
): AsyncGenerator<readonly Cell[]> {
  for await (const item of items) yield* of(item);
}

export const viewServices = (services: AsyncIterable<ServiceRow>): Block[] => [
  {
    kind: 'table',
    head: ['SERVICE', 'FRONTEND', 'POLICY', 'THROUGH', 'ENDPOINT', 'WORKLOAD', 'SHARE'],
    rows: lines(services, serviceLines),
    none: 'no services',
  },
];

function* workloadLines({
  workload,
  client,
  endpoints,
  connections,
  cgroups,
}: WorkloadRow): Generator<readonly Cell[]> {
  const own = [client?.address4, client?.address6].filter((address) => address !== undefined && address !== '');
  const reached = [...new Set(endpoints.map(({ address, port }) => socketAddressText(address, port)))];
  yield [
    workload,
    client?.namespace,
    own.join(' ') || undefined,
    reached.join(' ') || undefined,
    connections,
    cgroups.length,
  ];
}

export const viewWorkloads = (workloads: AsyncIterable<WorkloadRow>): Block[] => [
  {
    kind: 'table',
    head: ['WORKLOAD', 'NAMESPACE', 'OWN ADDRESSES', 'REACHED AT', 'CONNECTIONS', 'CGROUPS'],
    rows: lines(workloads, workloadLines),
    none: 'no workloads',
  },
];
