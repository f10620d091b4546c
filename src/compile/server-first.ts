// SPDX-License-Identifier: Apache-2.0
// Ports whose server speaks before the client does: nobody would send the header that a waypoint waits for.
import type { ServicePort } from '../mesh/service.ts';

/** appProtocol, or the name of a port up to its first "-". */
const protocols: ReadonlySet<string> = new Set([
  ...['mysql', 'smtp', 'submission', 'ftp', 'pop3', 'imap', 'ssh', 'nntp', 'telnet', 'vnc'],
]);

/** Ports that stand for one of them while nothing is said. */
const numbers: ReadonlySet<number> = new Set([21, 22, 23, 25, 110, 119, 143, 587, 3306]);

/** True when what is said of a port, or its number while nothing is said, means that the server begins. `more`: numbers that do. */
export function isServerFirst(
  { port, name, appProtocol, serverFirst }: ServicePort,
  more: readonly number[] = [],
): boolean {
  if (serverFirst !== undefined) return serverFirst;
  if (protocols.has(appProtocol)) return true;
  if (appProtocol !== '' && appProtocol !== 'tcp') return false;
  const [word] = name.toLowerCase().split('-');
  return protocols.has(word as string) || numbers.has(port) || more.includes(port);
}
