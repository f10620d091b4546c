// SPDX-License-Identifier: Apache-2.0
// Which waypoint it is that is to run, and where it listens.
import { closeSync } from 'node:fs';
import { KmeshError } from '../../errors.ts';
import { inNetns, openNetns } from '../../kernel/netns.ts';
import { listAddresses } from '../../kernel/rtnetlink.ts';
import { defaultWaypointSettings, type Gateway, type WaypointBinding } from '../../mesh/gateway.ts';
import { type Address, parseAddress } from '../../net/address.ts';
import { type ListenAddress, socketAddressText } from '../../net/socket-address.ts';

/** As far as it matters here: an agent of another version may say less. */
export type KnownGateway = Pick<Gateway, 'addresses'> & Partial<Pick<Gateway, 'binding' | 'waypointFor' | 'className'>>;

export interface Known {
  readonly gateway: KnownGateway | undefined;
  /** Names of all, for who has mistyped one. */
  readonly names: readonly string[];
  /** Why it may be known in a moment: who was asked is not ready. */
  readonly unready?: readonly string[];
}

/** All addresses of the network namespace at `path`. */
export function addressesIn(path: string): readonly Address[] {
  const fd = openNetns(path);
  try {
    return inNetns(fd, () => listAddresses().map(({ address }) => address));
  } finally {
    closeSync(fd);
  }
}

const mostNames = 8;

/** A Gateway that Envoy can be the proxy of. `listen`: given by hand, which does for a Gateway that nobody here has heard of. */
export function requireUsable(key: string, { gateway, names }: Known, listen: ListenAddress | undefined): void {
  if (gateway === undefined && listen === undefined) {
    const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : '';
    const list = names.length === 0 ? 'no Gateway is' : `known: ${names.slice(0, mostNames).join(', ')}${more}`;
    throw new KmeshError('KM_NOT_FOUND', `no Gateway "${key}" is known here (${list})`, {
      hint: 'check NAME and --namespace; one that only a control plane elsewhere knows needs --listen ADDRESS',
    });
  }
  const { header } = bindingOf(gateway);
  if (header === 'proxy') return;
  const why =
    header === 'none' ? 'connections come to it without a header' : "connections come to it with Kmesh's own header";
  throw new KmeshError(
    'KM_CONFIG',
    `the binding of waypoint ${key} is ${header.toUpperCase()}: ${why}, and Envoy could not tell where they were going`,
    { hint: 'let its Gateway say ambient.istio.io/waypoint-inbound-binding: PROXY/15088' },
  );
}

const bindingOf = (gateway: KnownGateway | undefined): WaypointBinding =>
  gateway?.binding ?? defaultWaypointSettings.binding;

export interface Where {
  readonly host: string;
  readonly port: number;
  /** HOST:PORT */
  readonly text: string;
}

/**
 * Where the proxy listens: what was given by hand, else the Gateway's address that this network has; all addresses when it is named
 * by a host name, or has several here.
 */
export function listenOf(
  key: string,
  gateway: KnownGateway | undefined,
  own: readonly Address[],
  given: ListenAddress | undefined,
): Where {
  const at = (host: string, port: number) => ({ host, port, text: socketAddressText(host, port) });
  if (given) {
    const host = given.host === undefined ? everywhere : parseAddress(given.host);
    if (host !== undefined) return at(host, given.port);
    throw new KmeshError('KM_USAGE', `--listen must name an address, got "${given.host}"`);
  }
  const { port } = bindingOf(gateway);
  const addresses = gateway?.addresses ?? [];
  if (addresses.length === 0) {
    throw new KmeshError('KM_CONFIG', `Gateway ${key} does not say where its waypoint is`, {
      hint: 'give it spec.addresses, or say --listen ADDRESS',
    });
  }
  if (addresses.some(({ kind }) => kind === 'hostname')) return at(everywhere, port);
  const named = addresses.flatMap((one) => (one.kind === 'address' ? [one.address] : []));
  const here = named.filter((address) => own.includes(address));
  const [only] = here;
  if (only !== undefined) return at(here.length === 1 ? only : everywhere, port);
  throw new KmeshError('KM_LISTEN', `this network has no address of waypoint ${key} (${named.join(', ') || 'none'})`, {
    hint: '--netns names the network that has it; --listen ADDRESS has it listen elsewhere',
  });
}

const everywhere = '::';

/** Where others find a proxy that listens there: at most as many as a Gateway's status holds. */
export function reachableAt(
  host: string,
  gateway: KnownGateway | undefined,
  own: readonly Address[],
): readonly Address[] {
  if (host !== everywhere && host !== '0.0.0.0') return [host];
  const named = (gateway?.addresses ?? []).flatMap((one) => (one.kind === 'address' ? [one.address] : []));
  const here = named.filter((address) => own.includes(address));
  const reachable = here.length > 0 ? here : own.filter((address) => !/^(127\.|::1$|fe[89ab][0-9a-f]:)/.test(address));
  return reachable.slice(0, mostReported);
}

const mostReported = 16;
