// SPDX-License-Identifier: Apache-2.0
// How the control plane is reached, from flags and environment. docs/xds.md has the table.
import { KmeshError } from '../../errors.ts';
import { parseAddress } from '../../net/address.ts';
import { parsePort, socketAddressText } from '../../net/socket-address.ts';
import { type Environ, type NodeFacts, type NodeFlags, readNode, usage } from './node.ts';

/** As given on the command line; absent: not given. */
export interface XdsFlags extends NodeFlags {
  readonly xds?: string | undefined;
  readonly xdsPlaintext?: boolean | undefined;
  readonly xdsRootCert?: string | undefined;
  readonly xdsToken?: string | undefined;
  readonly xdsServerName?: string | undefined;
  readonly xdsOnDemand?: boolean | undefined;
}

export interface XdsSettings {
  readonly server: XdsServer;
  readonly node: NodeFacts;
  readonly onDemand: boolean;
}

export interface XdsServer {
  /** A name, or a canonical address. */
  readonly host: string;
  readonly port: number;
  /** Absent: plaintext. */
  readonly tls?: { readonly rootFile: string; readonly serverName?: string };
  /** File of the bearer token; absent: none is sent. */
  readonly tokenFile?: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export const defaultServer = 'istiod.istio-system.svc:15012';
const defaultRootFile = '/var/run/secrets/istio/root-cert.pem';
const defaultTokenFile = '/var/run/secrets/tokens/istio-token';
const headerPrefix = 'XDS_HEADER_';

/**
 * Undefined: no control plane is asked for, since there are files (`hasConfig`) and neither --xds nor XDS_ADDRESS names one.
 * KM_USAGE names the flag or variable that makes no sense.
 */
export function readXdsSettings(
  flags: XdsFlags,
  environ: Environ,
  { hostname, hasConfig }: { readonly hostname: string; readonly hasConfig: boolean },
): XdsSettings | undefined {
  const given = addressOf(flags, environ, hasConfig);
  if (!given) {
    const idle = ['xdsPlaintext', 'xdsRootCert', 'xdsToken', 'xdsServerName', 'xdsOnDemand'] as const;
    const first = idle.find((name) => flags[name] !== undefined && flags[name] !== false);
    if (first === undefined) return undefined;
    const flag = `--${first.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;
    throw new KmeshError('KM_USAGE', `${flag} needs --xds`, { hint: `the usual address is ${defaultServer}` });
  }
  const { scheme, host, port } = parseServer(given);
  const plaintext = flags.xdsPlaintext === true || scheme === 'http';
  if (plaintext && scheme === 'https') throw usage(given, 'is of https, which --xds-plaintext contradicts');
  if (plaintext) {
    const first = (['xdsRootCert', 'xdsServerName'] as const).find((name) => flags[name] !== undefined);
    const flag = first === 'xdsRootCert' ? '--xds-root-cert' : '--xds-server-name';
    if (first) throw new KmeshError('KM_USAGE', `${flag} has no meaning without TLS`);
  }
  const serverName = or(flags.xdsServerName, environ.ALT_XDS_HOSTNAME);
  const tokenFile = tokenFileOf(flags, environ, plaintext);
  return {
    server: {
      host,
      port,
      ...(!plaintext && {
        tls: {
          rootFile: or(flags.xdsRootCert, environ.XDS_ROOT_CA) ?? defaultRootFile,
          ...(serverName !== undefined && { serverName }),
        },
      }),
      ...(tokenFile !== '' && { tokenFile }),
      headers: readHeaders(environ),
    },
    node: readNode(flags, environ, hostname),
    onDemand: flags.xdsOnDemand ?? flagText('XDS_ON_DEMAND', environ.XDS_ON_DEMAND) ?? false,
  };
}

/** "HOST:PORT" */
export function serverText({ host, port }: XdsServer): string {
  return parseAddress(host) === undefined ? `${host}:${port}` : socketAddressText(host, port);
}

interface Given {
  readonly from: string;
  readonly text: string;
}

function addressOf(flags: XdsFlags, environ: Environ, hasConfig: boolean): Given | undefined {
  const text = environ.XDS_ADDRESS;
  if (flags.xds !== undefined) {
    // The flag may hold what the variable says: whoever reads the fault looks there first.
    return { from: flags.xds !== '' && flags.xds === text ? 'XDS_ADDRESS' : '--xds', text: flags.xds };
  }
  if (text !== undefined && text !== '') return { from: 'XDS_ADDRESS', text };
  if (hasConfig) return undefined;
  // Set and empty: switched off.
  if (text === '') throw new KmeshError('KM_USAGE', 'XDS_ADDRESS is empty and there is no --config: nothing to read');
  return { from: '--xds', text: defaultServer };
}

function parseServer(given: Given): { readonly scheme: string; readonly host: string; readonly port: number } {
  const [, scheme = '', rest = ''] = /^(?:(https?):\/\/)?(.*?)\/?$/s.exec(given.text) ?? [];
  const colon = rest.lastIndexOf(':');
  const port = parsePort(rest.slice(colon + 1));
  const text = rest.slice(0, Math.max(colon, 0));
  const bracketed = text.startsWith('[') && text.endsWith(']');
  const address = parseAddress(bracketed ? text.slice(1, -1) : text);
  const name = !bracketed && /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(text) && !/^[\d.]+$/.test(text);
  const host = address !== undefined && bracketed === text.includes(':') ? address : name ? text : undefined;
  if (port === undefined || host === undefined) {
    throw usage(given, 'must be HOST:PORT with a port from 1 to 65535, an IPv6 address in brackets');
  }
  return { scheme, host, port };
}

/** '': none. A token is sent in the clear only when the command line says so. */
function tokenFileOf(flags: XdsFlags, environ: Environ, plaintext: boolean): string {
  if (flags.xdsToken !== undefined || plaintext) return flags.xdsToken ?? '';
  return environ.AUTH_TOKEN ?? defaultTokenFile;
}

function readHeaders(environ: Environ): [string, string][] {
  return Object.entries(environ).flatMap(([from, text]): [string, string][] => {
    if (!from.startsWith(headerPrefix) || text === undefined) return [];
    const name = from.slice(headerPrefix.length).toLowerCase();
    const reserved = name.startsWith('grpc-') || name.endsWith('-bin');
    if (!/^[a-z0-9_.-]+$/.test(name) || reserved) throw usage({ from, text }, 'names no header that can be sent');
    if (!/^[\x20-\x7e]*$/.test(text)) throw usage({ from, text }, 'must be printable ASCII');
    return [[name, text]];
  });
}

function flagText(from: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined;
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0') return false;
  throw usage({ from, text }, 'must be true or false');
}

/** The first that says something. */
function or(...texts: readonly (string | undefined)[]): string | undefined {
  return texts.find((text) => text !== undefined && text !== '');
}
