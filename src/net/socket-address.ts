// SPDX-License-Identifier: Apache-2.0
// Address and port as one text: "10.0.0.1:80", "[2001:db8::1]:53".
import { type Address, isV4, parseAddress } from './address.ts';

/** "address:port", an IPv6 address (or range) in brackets. */
export function socketAddressText(address: string, port: number): string {
  return isV4(address) ? `${address}:${port}` : `[${address}]:${port}`;
}

/** The number of a port (1..65535) in decimal text, or undefined. */
export function parsePort(text: string): number | undefined {
  if (!/^[1-9]\d{0,4}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65535 ? port : undefined;
}

/** What "address:port" says, or undefined. An IPv6 address must be in brackets. */
export function parseSocketAddress(text: string): { readonly address: Address; readonly port: number } | undefined {
  const colon = text.lastIndexOf(':');
  if (colon < 0) return undefined;
  const port = parsePort(text.slice(colon + 1));
  const host = text.slice(0, colon);
  const bracketed = host.startsWith('[') && host.endsWith(']');
  if (!bracketed && host.includes(':')) return undefined;
  const address = parseAddress(bracketed ? host.slice(1, -1) : host);
  if (port === undefined || address === undefined || (bracketed && !host.includes(':'))) return undefined;
  return { address, port };
}

export interface ListenAddress {
  /** Undefined: every address of the machine. */
  readonly host: string | undefined;
  /** 0: any that is free. */
  readonly port: number;
}

/** Where to listen: "HOST:PORT", ":PORT", "[IPv6]:PORT". */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, name, digits] = /^(?:\[([^\]]+)\]|([\w.-]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) return undefined;
  const address = bracketed === undefined ? undefined : parseAddress(bracketed);
  if (bracketed !== undefined && (address === undefined || !bracketed.includes(':'))) return undefined;
  return { host: bracketed ?? (name || undefined), port };
}
