// SPDX-License-Identifier: Apache-2.0
// A connection of which one turn of the event loop reads no more than so much. By itself it reads 2 MB at a time from a fast server, and to put that
// in its place takes up to 27 ms, most of it the first touch of memory. HTTP/2 reads sockets without JavaScript, whatever windows are given, and
// the next bytes come as soon as the first are read: only the handle itself can be told to stop.
import type { Socket } from 'node:net';
import type { ChannelCredentials } from '@grpc/grpc-js';

/** Bytes of one turn. */
export const turnBytes = 256 * 1024;

interface Handle {
  readStop?(): unknown;
  readStart?(): unknown;
}

/** Connections that are open. */
const paced = new Set<() => void>();

/** To be called for each piece that was read. */
export function pieceRead(): void {
  for (const look of paced) look();
}

/** @param socket that HTTP/2 is about to read */
export function pace(socket: Socket): void {
  const handle = () => (socket as unknown as { readonly _handle: Handle | null })._handle;
  let from: number | undefined;
  let stopped = false;
  const begin = () => {
    from = undefined;
    if (!stopped) return;
    stopped = false;
    handle()?.readStart?.();
  };
  const look = () => {
    if (from === undefined) {
      from = socket.bytesRead;
      setImmediate(begin);
    } else if (!stopped && socket.bytesRead - from >= turnBytes) {
      stopped = true;
      handle()?.readStop?.();
    }
  };
  paced.add(look);
  socket.once('close', () => paced.delete(look));
}

/** The same credentials; connections that are made with them are paced. */
export function pacing<T extends ChannelCredentials>(credentials: T): T {
  const connector = credentials._createSecureConnector;
  credentials._createSecureConnector = (...words) => {
    const made = connector.apply(credentials, words);
    const { connect } = made;
    made.connect = async (socket) => {
      const connected = await connect.call(made, socket);
      pace(connected.socket);
      return connected;
    };
    return made;
  };
  return credentials;
}
