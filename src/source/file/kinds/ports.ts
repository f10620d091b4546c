// SPDX-License-Identifier: Apache-2.0
// Ports of Services and ServiceEntries: application protocol, and numbers and names that may not repeat.
import { tooManyPlaces } from '../../../mesh/service.ts';
import type { Meta } from '../kind.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';

const protocols = new Map<string, string>([
  ['http', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['http2', 'http2'],
  ['kubernetes.io/h2c', 'http2'],
  ['grpc', 'grpc'],
  ['grpc-web', 'grpc'],
  ['https', 'tls'],
  ['kubernetes.io/wss', 'tls'],
  ['tls', 'tls'],
  ['tcp', 'tcp'],
  // Their servers speak first, which matters to waypoints.
  ...['mysql', 'smtp', 'submission', 'ftp', 'pop3', 'imap', 'ssh', 'nntp', 'telnet', 'vnc'].map(
    (name) => [name, name] as const,
  ),
]);

/** http, http2, grpc, tls, tcp, one whose server speaks first, or '' (not known), from appProtocol, else from the port's name ("http-web"). */
export function appProtocolOf(stated: string | undefined, name: string): string {
  const text = (stated ?? name).toLowerCase();
  const found = protocols.get(text);
  if (found !== undefined || stated !== undefined) return found ?? '';
  return protocols.get(text.startsWith('grpc-web') ? 'grpc-web' : (text.split('-')[0] as string)) ?? '';
}

const serverFirstAnnotation = 'kmesh.net/server-first';

/** The ports with what an annotation says of all of them: the numbers of those whose server speaks first, or "none". */
export function saidFirst<P extends { readonly port: number; readonly protocol: string }>(
  ports: readonly P[],
  { annotations }: Meta,
  reading: Reading,
): readonly (P & { readonly serverFirst?: boolean })[] {
  const value = annotations[serverFirstAnnotation];
  if (value === undefined) return ports;
  const path = ['metadata', 'annotations', serverFirstAnnotation];
  const words = value === 'none' ? [] : value.split(',').map((word) => word.trim());
  const wrong = words.find((word) => !/^\d{1,5}$/.test(word));
  if (wrong !== undefined) {
    reading.faultAt(path, `must be numbers of ports or "none", not ${JSON.stringify(value)}`);
    return ports;
  }
  const numbers = new Set(words.map(Number));
  const missing = [...numbers].filter((n) => !ports.some(({ port, protocol }) => port === n && protocol === 'tcp'));
  if (missing.length > 0) reading.warnAt(path, `names ports that are not there: ${missing.join(', ')}`);
  return ports.map((one) => (one.protocol === 'tcp' ? { ...one, serverFirst: numbers.has(one.port) } : one));
}

/** A fault at `path` for more addresses with so many ports than one service may have. */
export function checkPlaces(addresses: number, ports: number, path: Path, reading: Reading): void {
  const tooMany = tooManyPlaces(addresses, ports);
  if (tooMany !== undefined) reading.faultAt(path, tooMany);
}

/** Faults for a number (with its protocol) or a name that stands twice. */
export function checkPorts(
  ports: readonly { readonly port: number; readonly protocol: string; readonly name: string }[],
  path: Path,
  numberField: string,
  reading: Reading,
): void {
  const numbers = new Map<string, number>();
  const names = new Map<string, number>();
  ports.forEach(({ port, protocol, name }, i) => {
    const number = `${port}/${protocol}`;
    const before = numbers.get(number);
    if (before !== undefined) reading.faultAt([...path, i, numberField], `${number} stands in [${before}] already`);
    else numbers.set(number, i);
    if (name === '') {
      if (ports.length > 1) reading.faultAt([...path, i, 'name'], 'is missing, and must be there with several ports');
      return;
    }
    const same = names.get(name);
    if (same !== undefined) reading.faultAt([...path, i, 'name'], `"${name}" stands in [${same}] already`);
    else names.set(name, i);
  });
}
