// SPDX-License-Identifier: Apache-2.0
// How much of what came waits to be applied, and whether more may be read.

/**
 * No further response is read while these wait: small ones overtake a big one, but a server that is faster than this node does not fill its
 * memory.
 */
const most = { responses: 2, changes: 10_000, inAll: 64 };
/** What is not read yet counts as a change for so many bytes. */
const bytesAChange = 256;

/** To be called once what was added waits no more; again does nothing. */
export type Over = () => void;

export interface Backlog {
  /** A response that was read. */
  changes(count: number): Over;
  /** One that was not yet. */
  unread(bytes: number): Over;
  /** Resolves when more may be read. One waits at a time. */
  room(): Promise<void>;
  /** From now on there is always room. */
  close(): void;
}

export function openBacklog(): Backlog {
  const waits = { responses: 0, changes: 0 };
  let closed = false;
  let onRoom = () => {};

  const full = (): boolean =>
    !closed && ((waits.responses >= most.responses && waits.changes > most.changes) || waits.responses >= most.inAll);

  const changes = (count: number): Over => {
    waits.responses++;
    waits.changes += count;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      waits.responses--;
      waits.changes -= count;
      onRoom();
    };
  };

  return {
    changes,
    unread: (bytes) => changes(Math.ceil(bytes / bytesAChange)),
    room: () =>
      new Promise((resolve) => {
        onRoom = () => {
          if (!full()) resolve();
        };
        onRoom();
      }),
    close() {
      closed = true;
      onRoom();
    },
  };
}
