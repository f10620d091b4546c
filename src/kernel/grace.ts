// SPDX-License-Identifier: Apache-2.0
// Waits until every program run that began before has ended, without holding up the event loop.
import { closeSync } from 'node:fs';
import { cpus } from 'node:os';
import { KmeshError } from '../errors.ts';
import { failure, type Libbpf, libbpf, stableBytes } from './libbpf.ts';

/** System call numbers of membarrier(2); other machines use the map. */
const membarrierNumber: Partial<Record<NodeJS.Architecture, number>> = {
  x64: 324,
  arm64: 283,
  riscv64: 283,
  loong64: 283,
};
const commandQuery = 0;
const commandGlobal = 1;
const arrayOfMaps = 12;
const arrayMap = 2;

export interface Grace {
  wait(): Promise<void>;
  close(): void;
}

/** membarrier GLOBAL is synchronize_rcu(), except with one CPU (it returns at once) and with nohz_full (it is refused). */
async function membarrierWorks(bpf: Libbpf, number: number | undefined): Promise<boolean> {
  if (number === undefined || cpus().length < 2) return false;
  const commands = await bpf.syscallLater(number, commandQuery, 0, 0);
  return commands >= 0 && (commands & commandGlobal) !== 0;
}

/** An update of a map of maps returns only after synchronize_rcu(): the same wait where membarrier cannot give it. */
function mapOfMaps(bpf: Libbpf): { wait(): Promise<void>; close(): void } {
  const created = (fd: number): number => {
    if (fd < 0) throw new KmeshError('KM_MAP', `a map to wait by could not be created: ${failure(fd)}`);
    return fd;
  };
  const inner = created(bpf.bpf_map_create(arrayMap, 'km_grace_inner', 4, 4, 1, null));
  // struct bpf_map_create_opts: sz, four words of BTF, inner_map_fd
  const options = stableBytes(48);
  const view = new DataView(options.buffer);
  view.setBigUint64(0, BigInt(options.length), true);
  view.setUint32(24, inner, true);
  const outer = created(bpf.bpf_map_create(arrayOfMaps, 'km_grace', 4, 4, 1, options));
  const key = stableBytes(4);
  const value = stableBytes(4);
  new DataView(value.buffer).setUint32(0, inner, true);
  return {
    async wait() {
      const answer = await bpf.updateLater(outer, key, value);
      if (answer < 0) throw new KmeshError('KM_MAP', `waiting for running programs failed: errno ${-answer}`);
    },
    close() {
      closeSync(outer);
      closeSync(inner);
    },
  };
}

/** `force` picks one of the two ways, for tests. */
export function openGrace(force?: 'membarrier' | 'map'): Grace {
  const bpf = libbpf();
  const number = membarrierNumber[process.arch];
  let works: Promise<boolean> | undefined;
  let maps: ReturnType<typeof mapOfMaps> | undefined;
  const once = async (): Promise<void> => {
    works ??= force ? Promise.resolve(force === 'membarrier') : membarrierWorks(bpf, number);
    if ((await works) && number !== undefined) {
      const answer = await bpf.syscallLater(number, commandGlobal, 0, 0);
      if (answer === 0) return;
      works = Promise.resolve(false);
    }
    maps ??= mapOfMaps(bpf);
    await maps.wait();
  };

  // Whoever asks while a wait runs needs the next one, whole; all of those share it.
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    const mine = once().finally(() => {
      if (running === mine) running = undefined;
    });
    running = mine;
    return mine;
  };
  return {
    wait() {
      if (!running) return begin();
      next ??= running
        .catch(() => undefined)
        .then(() => {
          next = undefined;
          return begin();
        });
      return next;
    },
    close() {
      maps?.close();
      maps = undefined;
    },
  };
}
