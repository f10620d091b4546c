// SPDX-License-Identifier: Apache-2.0
// How a waypoint wants to be told of the original destination, as the command line says it: "proxy", "kmesh/15019".
import { KmeshError } from '../../errors.ts';

export interface Binding {
  readonly protocol: 'PROXY' | 'KMESH' | 'NONE';
  readonly port: number;
}

const ports: Readonly<Record<Binding['protocol'], number>> = { PROXY: 15088, KMESH: 15019, NONE: 15088 };

export const proxyBinding: Binding = { protocol: 'PROXY', port: ports.PROXY };

export function parseBinding(text: string): Binding {
  const [, word = '', digits] = /^(proxy|kmesh|none)(?:\/(\d{1,5}))?$/i.exec(text) ?? [];
  const protocol = word.toUpperCase() as Binding['protocol'];
  const port = digits === undefined ? ports[protocol] : Number(digits);
  if (port >= 1 && port <= 65535) return { protocol, port };
  throw new KmeshError('KM_USAGE', `--protocol must be proxy, kmesh or none, or one of them with /PORT, got "${text}"`);
}

export const bindingText = ({ protocol, port }: Binding): string => `${protocol}/${port}`;
