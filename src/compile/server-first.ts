// SPDX-License-Identifier: Apache-2.0
// Ports whose server speaks before the client does: nobody would send the header that a waypoint waits for.
import type { ServicePort } from '../mesh/service.ts';

/** appProtocol, or the name of a port up to its first "-". */
const protocols: ReadonlySet<string> = new Set([
  ...['mysql', 'smtp', 'submission', 'ftp', 'pop3', 'imap', 'ssh', 'nntp', 'telnet', 'vnc'],
]);

/** Ports that stand for one of them while nothing is said. */
const numbers: ReadonlySet<number> = new Set([21, 22, 23, 25, 110, 119, 143, 587, 3306]);

/** Numbers of ports whose server begins while nothing is said. `more`: what the node adds. */
export function serverFirstNumbers(more: readonly number[] = []): ReadonlySet<number> {
  return more.length === 0 ? numbers : new Set([...numbers, ...more]);
}

/** What is said of a port, whatever its number: whether the server begins. Undefined: nothing. */
export function saidServerFirst({
  name,
  appProtocol,
  serverFirst,
}: Pick<ServicePort, 'name' | 'appProtocol' | 'serverFirst'>): boolean | undefined {
  if (serverFirst !== undefined) return serverFirst;
  if (protocols.has(appProtocol)) return true;
  if (appProtocol !== '' && appProtocol !== 'tcp') return false;
  const [word] = name.toLowerCase().split('-');
  return protocols.has(word as string) || undefined;
}

/** True when what is said of a port, or its number while nothing is said, means that the server begins. `more`: numbers that do. */
export function isServerFirst(port: ServicePort, more: readonly number[] = []): boolean {
  return saidServerFirst(port) ?? (numbers.has(port.port) || more.includes(port.port));
}
