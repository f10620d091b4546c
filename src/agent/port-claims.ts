// SPDX-License-Identifier: Apache-2.0
// Who says that a waypoint reads a header at a port, for people.
import { readerOf } from '../compile/reader.ts';
import { addressesOf, ownersOfAddresses } from '../compile/waypoint.ts';
import { portsAt, portsOfTunnel, portsUsed, portsUsedBy, portsUsedByGateway } from '../compile/waypoint-ports.ts';
import type { Used } from '../compile/waypoint-uses.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import { finish } from '../mesh/steps.ts';
import type { Address } from '../net/address.ts';

function nameOf({ ref }: Used): string {
  const [part] = ref.parts;
  const { gateway, destination: to } = part?.at ?? {};
  if (gateway !== undefined) return `Gateway ${gateway}`;
  return to?.kind === 'hostname' ? `the waypoint ${to.namespace}/${to.hostname}` : 'a waypoint by its address';
}

/** Names of those who claim the port with this key ("10.0.0.3:15088"). A walk over the model. */
export function portClaims(model: Model, view: NodeView, key: string): readonly string[] {
  const used = new Map<string, Used>();
  const found = new Set<string>();
  const add = (some: readonly Used[]): void => {
    for (const one of some)
      if (one.ref.parts[0]?.at.gateway !== undefined || !used.has(one.name)) used.set(one.name, one);
  };
  for (const service of model.services.values()) add(portsUsedBy(service));
  for (const gateway of model.gateways.values()) add(portsUsedByGateway(gateway));
  for (const workload of model.workloads.values()) {
    if (workload.waypoint) add(portsUsed([workload.waypoint]));
    if (portsOfTunnel(workload, view).some((port) => port.key === key)) found.add(`workload ${workload.uid}`);
  }
  const located = new Set<Address>();
  for (const { ref } of used.values()) for (const address of addressesOf(ref)) located.add(address);
  const owners = finish(ownersOfAddresses(model, view, located));
  const context = { reader: readerOf(model), view, owners };
  for (const one of used.values()) {
    const [part] = one.ref.parts;
    if (part && portsAt(part.at, context).ports.some((port) => port.key === key)) found.add(nameOf(one));
  }
  return [...found].sort();
}
