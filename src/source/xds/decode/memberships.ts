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

const noPorts: readonly PortMapping[] = [];

/** Bytes of a list of ports that is soon read. */
const shortList = 1024;

/** The long list of ports that was read last: the workloads of a service of ten thousand ports have ten thousand each. */
interface LongList {
  readonly bytes: Buffer;
  readonly ports: readonly PortMapping[];
  /** What was shared for it as the only one, of the service `key`. */
  readonly key?: string;
  readonly services?: Services;
}

/** Maps of services by what they say: a server writes the entries of one in any order. */
export class Memberships {
  readonly #known = new Map<string, Services>();
  #last: LongList = { bytes: Buffer.alloc(0), ports: [] };

  /** The map that says the same, if there is one. */
  share(entries: ReadonlyMap<string, readonly PortMapping[]>): Services {
    const last = this.#last;
    const key = entries.size === 1 ? keyOf(entries, last.ports) : undefined;
    if (key !== undefined && key === last.key && last.services) return last.services;
    const services = this.#found(entries);
    if (key !== undefined) this.#last = { ...last, key, services };
    return services;
  }

  #found(entries: ReadonlyMap<string, readonly PortMapping[]>): Services {
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

  /** Reads the entry that comes next. */
  read(reader: Reader, entries: Map<string, readonly PortMapping[]>): void {
    const mark = reader.mark;
    const outer = reader.enter();
    const index = entries.size;
    let key = '';
    let ports = noPorts;
    while (reader.more()) {
      const tag = reader.tag();
      switch (tag) {
        case (1 << 3) | 2:
          key = reader.text('key');
          break;
        case (2 << 3) | 2:
          ports = this.#readPorts(reader);
          break;
        default:
          reader.other(tag, entryFields);
      }
    }
    if (!key.includes('/')) reader.fault('key', `${quote(key)} is not "namespace/hostname"`);
    reader.leave(outer, mark, 'services', index);
    entries.set(key, ports);
  }

  /** The ports that come next: of a long list with the bytes of the last long one what was read then. */
  #readPorts(reader: Reader): readonly PortMapping[] {
    const at = reader.pos;
    const length = reader.span();
    const start = reader.pos - length;
    const long = length > shortList && !reader.broken;
    const { bytes, ports: known } = this.#last;
    if (long && length === bytes.length && bytes.compare(reader.bytes, start, start + length) === 0) return known;
    if (!reader.broken) reader.pos = at;
    const mark = reader.mark;
    const ports = portMappings(readPortList(reader));
    if (long && reader.sound(mark))
      this.#last = { bytes: Buffer.from(reader.bytes.subarray(start, start + length)), ports };
    return ports;
  }
}

/** The key of the only entry, if it has just these ports. */
function keyOf(
  entries: ReadonlyMap<string, readonly PortMapping[]>,
  ports: readonly PortMapping[],
): string | undefined {
  for (const [key, own] of entries) if (own === ports) return key;
  return undefined;
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
