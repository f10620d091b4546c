// SPDX-License-Identifier: Apache-2.0
// Workloads behind a waypoint: one frontend for all ports of each address, and at which of them the server speaks first.
import { defaultWaypointSettings } from '../mesh/gateway.ts';
import type { Model, NodeView } from '../mesh/model.ts';
import type { Service, ServicePort } from '../mesh/service.ts';
import type { Steps } from '../mesh/steps.ts';
import type { Table } from '../mesh/table.ts';
import type { Workload } from '../mesh/workload.ts';
import { type Address, isItself, isV4 } from '../net/address.ts';
import { targetPort } from './eligible.ts';
import { frontendKey } from './frontend.ts';
import type { ModelReader } from './reader.ts';
import { saidServerFirst, serverFirstNumbers } from './server-first.ts';
import type { WantedFrontend } from './wanted.ts';
import { type Behind, waypointOfWorkload, workloadsName } from './waypoint.ts';
import type { WaypointEditor } from './waypoint-uses.ts';

/** A port of a service of which it is known whether the server begins. */
interface Said {
  readonly entry: ServicePort;
  readonly first: boolean;
}

const nothing: readonly Said[] = [];

/** What a service says of its TCP ports. A number of its own that is known says it, too: it may lead to another one. */
function saysOf(service: Service | undefined, numbers: ReadonlySet<number>): readonly Said[] {
  if (!service) return nothing;
  const found: Said[] = [];
  for (const entry of service.ports) {
    if (entry.protocol === 'udp') continue;
    const first = saidServerFirst(entry) ?? (numbers.has(entry.port) || undefined);
    if (first !== undefined) found.push({ entry, first });
  }
  return found.length === 0 ? nothing : found;
}

const textOf = (said: readonly Said[]): string =>
  said.map(({ entry, first }) => `${first ? '+' : '-'}${entry.port}:${entry.targetPort}`).join(' ');

/** Ports of a workload where services say something else than the number does. Where they disagree, the server begins. */
function saidOfWorkload(
  workload: Workload,
  numbers: ReadonlySet<number>,
  saysOfService: (key: string) => readonly Said[],
): Behind['said'] {
  const found = new Map<number, boolean>();
  for (const key of workload.services.keys()) {
    for (const { entry, first } of saysOfService(key)) {
      const port = targetPort(workload, key, entry, 'tcp');
      if (port !== 0) found.set(port, first || found.get(port) === true);
    }
  }
  const said: (readonly [number, boolean])[] = [];
  for (const one of found) if (one[1] !== numbers.has(one[0])) said.push(one);
  return said.sort(([a], [b]) => a - b);
}

/** Which services know of a port of a workload whether the server begins there, by which of their own ports. */
export function knownOfPort(model: Model, view: NodeView, workload: Workload, port: number): readonly Known[] {
  const numbers = serverFirstNumbers(view.waypoints?.serverFirstPorts);
  return [...workload.services.keys()].flatMap((service) =>
    saysOf(model.services.get(service), numbers)
      .filter(({ entry }) => targetPort(workload, service, entry, 'tcp') === port)
      .map(({ entry, first }) => ({ service, port: entry.port, first })),
  );
}

interface Known {
  readonly service: string;
  readonly port: number;
  readonly first: boolean;
}

export interface WorkloadFrontendEditor {
  /** A service was touched. */
  look(key: string): void;
  /** Moves the workloads of those that say something else now. To be called once all workloads have their places. */
  move(): Steps<void>;
  /** The frontend that stands for all ports of an address: of several workloads the first by uid counts. */
  at(address: Address): readonly WantedFrontend[];
  close(): Steps<Table<string>>;
}

/** Workloads between two pauses. */
const workloadsAStep = 256;

/** `before`: what services said to the workloads that were compiled. */
export function editWorkloadFrontends(
  before: Table<string>,
  waypoints: WaypointEditor,
  reader: ModelReader,
  model: Model,
  view: NodeView,
): WorkloadFrontendEditor {
  const settings = view.waypoints ?? defaultWaypointSettings;
  const numbers = serverFirstNumbers(settings.serverFirstPorts);
  const texts = before.edit();
  const changed: string[] = [];
  const known = new Map<string, readonly Said[]>();

  const says = (key: string): readonly Said[] => {
    let said = known.get(key);
    if (!said) {
      said = saysOf(reader.service(key), numbers);
      known.set(key, said);
      const text = textOf(said);
      if (texts.get(key) !== text) texts.set(key, text);
    }
    return said;
  };

  return {
    look(key) {
      const was = before.get(key);
      if (was === undefined || was === textOf(saysOf(reader.service(key), numbers))) return;
      texts.delete(key);
      changed.push(key);
    },
    *move() {
      let seen = 0;
      for (const key of changed) {
        for (const uid of model.members.get(key) ?? []) {
          waypoints.move(uid);
          if (++seen % workloadsAStep === 0) yield;
        }
      }
    },
    at(address) {
      const [uid] = [...waypoints.workloadsAt(address)].sort();
      const workload = uid === undefined ? undefined : model.workloads.get(uid);
      const ref = workload && waypointOfWorkload(workload, view);
      const user = `address ${address}`;
      if (!ref || isItself(address)) {
        waypoints.use(user, []);
        return [];
      }
      const family = isV4(address) ? 4 : 6;
      const unready = workload.waypointUnready ?? settings.unready;
      const behind = { unready, said: saidOfWorkload(workload, numbers, says) };
      const name = workloadsName(ref, family, behind);
      waypoints.use(user, [
        { name, ref, family, workloads: behind },
        { name: `${ref.name}/${family}`, ref, family },
      ]);
      const key = frontendKey('tcp', address, undefined, 0);
      return [{ key, protocol: 'tcp', address, port: 0, backend: name }];
    },
    close: () => texts.close(),
  };
}
