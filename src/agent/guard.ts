// SPDX-License-Identifier: Apache-2.0
// Touching the kernel: one piece of the agent's work at a time, and under the run directory's lock, which commands take too.
import { setTimeout as pause } from 'node:timers/promises';
import { KmeshError } from '../errors.ts';
import type { DataPlane } from '../kernel/dataplane.ts';
import { lockHolder, openLock } from './lock.ts';
import { serial } from './serial.ts';

/** Opened pins. `isCurrent` is false once another process has put other maps in their place. */
export interface AgentPlane extends DataPlane {
  isCurrent(): boolean;
}

export interface Entered {
  /** What is pinned now: another one than before when somebody swapped it. */
  readonly plane: AgentPlane;
  leave(): void;
}

export interface Guard {
  /** The plane that was current when the kernel was last touched. */
  readonly plane: AgentPlane;
  /** Waits for its turn and for the lock. KM_BUSY when a command holds it for too long; what opening the pins throws. */
  enter(): Promise<Entered>;
  /** Replaces what is pinned by `change` and goes on with the plane that it opens, while entered. */
  swap(change: () => Promise<AgentPlane>): Promise<AgentPlane>;
  close(): void;
}

export interface GuardOptions {
  readonly runDir: string;
  readonly plane: AgentPlane;
  /** Opens the pins anew; may load the programs, so the lock is free meanwhile. */
  readonly reopen: () => Promise<AgentPlane>;
  /** Brings a swap to an end that another process began and did not live to finish. The lock is held. */
  readonly recover?: (() => void) | undefined;
  readonly patienceMs?: number;
}

const command = 'kmeshctl agent';
/** Longer than any command should take: an upgrade of large maps is the longest. */
const usualPatienceMs = 30_000;
const pollMs = 10;

export function openGuard(options: GuardOptions): Guard {
  let { plane } = options;
  const lock = openLock(options.runDir, 'lock');
  const turns = serial();
  /** Somebody else may have changed what is pinned since it was looked at. */
  let suspect = true;

  const take = async (): Promise<void> => {
    for (let left = options.patienceMs ?? usualPatienceMs; !lock.tryTake(command); left -= pollMs) {
      if (left <= 0) {
        const holder = lockHolder(options.runDir, 'lock');
        const who = holder && holder.pid > 0 ? `process ${holder.pid} (${holder.command})` : 'another process';
        throw new KmeshError('KM_BUSY', `${who} keeps holding "${lock.path}"`);
      }
      await pause(pollMs);
    }
  };

  /** With the lock held and the plane current. */
  const ready = async (): Promise<void> => {
    await take();
    suspect ||= lock.changedHands;
    while (suspect) {
      try {
        options.recover?.();
        suspect = !plane.isCurrent();
      } catch (fault) {
        lock.release();
        throw fault;
      }
      if (!suspect) return;
      lock.release();
      const next = await options.reopen();
      plane.close();
      plane = next;
      await take();
    }
  };

  return {
    get plane() {
      return plane;
    },
    enter() {
      return new Promise((entered, failed) => {
        void turns.run(async () => {
          try {
            await ready();
          } catch (fault) {
            failed(fault);
            return;
          }
          await new Promise<void>((left) => {
            const leave = () => {
              lock.release();
              left();
            };
            entered({ plane, leave });
          });
        });
      });
    },
    async swap(change) {
      // Should it fail half-way, nobody knows what is pinned until somebody looks.
      suspect = true;
      const next = await change();
      plane.close();
      plane = next;
      suspect = false;
      return plane;
    },
    close() {
      lock.close();
    },
  };
}
