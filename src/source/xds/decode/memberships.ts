// SPDX-License-Identifier: Apache-2.0
// The services of a workload with its own ports (field 22 of istio.workload.Workload). The workloads of a service share one map.
import type { PortMapping, Workload } from '../../../mesh/workload.ts';
import { type Port, portMappings, readPort } from './ports.ts';
import { quote } from './quote.ts';
import type { FieldNames, Reader } from './reader.ts';

type Services = Workload['services'];

const entryFields: FieldNames = { 1: 'key', 2: 'value' };
const portListFields: FieldNames = { 1: 'ports' };

/** So many different maps are known; then that begins anew. */
const maxMaps = 50_000;
/** Larger ones are held once each. */
const maxEntries = 64;

/** Maps of services by what they say: a server writes the entries of one in any order. */
export class Memberships {
  readonly #known = new Map<string, Services>();

  /** The map that says the same, if there is one. */
  share(entries: ReadonlyMap<string, readonly PortMapping[]>): Services {
    const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
    if (sorted.length > maxEntries) return new Map(sorted);
    const sense = JSON.stringify(sorted);
    const known = this.#known.get(sense);
    if (known !== undefined) return known;
    const services: Services = new Map(sorted);
    if (this.#known.size >= maxMaps) this.#known.clear();
    this.#known.set(sense, services);
    return services;
  }
}

/** Reads the entry that comes next. */
export function readMembership(reader: Reader, entries: Map<string, readonly PortMapping[]>): void {
  const mark = reader.mark;
  const outer = reader.enter();
  const index = entries.size;
  let key = '';
  let ports: ReadonlyMap<number, Port> = new Map();
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        key = reader.text('key');
        break;
      case (2 << 3) | 2:
        ports = readPortList(reader);
        break;
      default:
        reader.other(tag, entryFields);
    }
  }
  if (!key.includes('/')) reader.fault('key', `${quote(key)} is not "namespace/hostname"`);
  reader.leave(outer, mark, 'services', index);
  entries.set(key, portMappings(ports));
}

function readPortList(reader: Reader): ReadonlyMap<number, Port> {
  const mark = reader.mark;
  const outer = reader.enter();
  const ports = new Map<number, Port>();
  let index = 0;
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | 2)) readPort(reader, ports, index++);
    else reader.other(tag, portListFields);
  }
  reader.leave(outer, mark, '');
  return ports;
}
