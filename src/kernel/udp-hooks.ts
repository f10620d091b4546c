// SPDX-License-Identifier: Apache-2.0
// The hooks on every datagram of the node: attached only while a service needs them.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../errors.ts';
import { cgroupPath } from './cgroup.ts';
import { linkInfo } from './info.ts';
import { attachCgroup, detachLink, openCgroup } from './link.ts';
import { openPin, type PinFolders, pin, pinNames, unpin, withPin } from './pins.ts';

/** enum bpf_attach_type. In the order of attaching: a reply must find its hook before the first datagram is sent. */
const hooks: ReadonlyMap<string, number> = new Map([
  ['recvmsg4', 19],
  ['recvmsg6', 20],
  ['sendmsg4', 14],
  ['sendmsg6', 15],
]);

/** True for the programs that setUdpHooks attaches and detaches. */
export function isUdpHook(program: string): boolean {
  return hooks.has(program);
}

/** True when all of them are attached. */
export function udpHooksOn(folders: PinFolders): boolean {
  const linked = pinNames(folders.links);
  return [...hooks.keys()].every((name) => linked.includes(name));
}

/** A descriptor of the cgroup that the other programs are attached to. */
function attachPoint(folders: PinFolders): number {
  for (const name of pinNames(folders.links)) {
    const id = withPin(join(folders.links, name), linkInfo).cgroupId;
    const path = id === 0n ? undefined : cgroupPath(id);
    if (path !== undefined) return openCgroup(path);
  }
  throw new KmeshError('KM_ATTACH', 'no attached program tells which cgroup the UDP hooks belong to');
}

/** Attaches what is missing, or detaches what is there: sending first, so that no datagram goes out whose reply is not put right. */
export function setUdpHooks(folders: PinFolders, on: boolean): void {
  if (!on) {
    for (const name of [...hooks.keys()].reverse()) {
      const path = join(folders.links, name);
      const fd = openPin(path);
      if (fd === undefined) continue;
      try {
        detachLink(fd);
        unpin(path);
      } finally {
        closeSync(fd);
      }
    }
    return;
  }
  if (udpHooksOn(folders)) return;
  const cgroup = attachPoint(folders);
  try {
    const linked = pinNames(folders.links);
    for (const [name, attachType] of hooks) {
      if (linked.includes(name)) continue;
      withPin(join(folders.progs, name), (program) => {
        const link = attachCgroup(name, program, cgroup, attachType);
        try {
          pin(link, join(folders.links, name));
        } finally {
          closeSync(link);
        }
      });
    }
  } finally {
    closeSync(cgroup);
  }
}
