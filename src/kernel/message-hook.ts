// SPDX-License-Identifier: Apache-2.0
// The program that sees what sockets on their way to a waypoint send. It belongs to the map that they are put into: no link, no pin of one.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { messageHook } from './hooks.ts';
import { failure, libbpf } from './libbpf.ts';
import type { LoadedPrograms } from './objects.ts';
import { type PinFolders, withPin } from './pins.ts';

function attach(program: number, map: number): void {
  const answer = libbpf().bpf_prog_attach(program, map, messageHook.attachType, 0);
  if (answer < 0) {
    throw new KmeshError(
      'KM_ATTACH',
      `${messageHook.name} could not be attached to map "${messageHook.map}": ${failure(answer)}`,
    );
  }
}

/** Attaches the loaded program to the loaded map: sockets that are put there from now on have it. Objects without them are left alone. */
export function attachToMap({ programs, maps }: LoadedPrograms): void {
  const program = programs.find(({ name }) => name === messageHook.name);
  const map = maps.get(messageHook.map);
  if (program && map !== undefined) attach(program.fd, map);
}

/** The same with what is pinned. */
export function attachPinned(folders: PinFolders): void {
  const program = join(folders.progs, messageHook.name);
  const map = join(folders.maps, messageHook.map);
  if (existsSync(program) && existsSync(map)) withPin(program, (fd) => withPin(map, (mapFd) => attach(fd, mapFd)));
}
