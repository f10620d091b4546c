// SPDX-License-Identifier: Apache-2.0
// The hooks on every datagram of the node: attached only while a service needs them.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { type Hook, hooks } from './hooks.ts';
import { attachAll, attachPoint, removeLink } from './pinned-links.ts';
import { type PinFolders, pinNames, withPin } from './pins.ts';

/** In the order of attaching: a reply must find its hook before the first datagram is sent. */
const udpHooks: readonly Hook[] = ['recvmsg', 'sendmsg'].flatMap((prefix) =>
  hooks.filter(({ name }) => name.startsWith(prefix)),
);

/** True for the programs that setUdpHooks attaches and detaches. */
export function isUdpHook(program: string): boolean {
  return udpHooks.some(({ name }) => name === program);
}

/** True when all of them are attached. */
export function udpHooksOn(folders: PinFolders): boolean {
  const linked = pinNames(folders.links);
  return udpHooks.every(({ name }) => linked.includes(name));
}

/** Attaches what is missing, or detaches what is there: sending first, so that no datagram goes out whose reply is not put right. */
export function setUdpHooks(folders: PinFolders, on: boolean): void {
  if (!on) {
    for (const { name } of udpHooks.toReversed()) removeLink(join(folders.links, name));
    return;
  }
  if (udpHooksOn(folders)) return;
  const cgroup = attachPoint(folders.links);
  try {
    const linked = pinNames(folders.links);
    for (const { name, attachType } of udpHooks) {
      if (linked.includes(name)) continue;
      withPin(join(folders.progs, name), (fd) => attachAll(folders.links, cgroup, [{ name, fd, attachType }]));
    }
  } finally {
    closeSync(cgroup);
  }
}
