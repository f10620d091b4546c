// SPDX-License-Identifier: Apache-2.0
// Service addresses as lines of a hosts file.
import type { Service } from '../../mesh/service.ts';
import type { Address } from '../../net/address.ts';
import { cidrContains, parseCidr } from '../../net/cidr.ts';

/** Where automatic addresses come from. */
const automatic = ['240.240.0.0/16', '2001:2::/48'].map((text) => parseCidr(text));

export function isAutomatic(address: Address): boolean {
  return automatic.some((range) => range !== undefined && cidrContains(range, address));
}

/**
 * "ADDRESS HOSTNAME" lines by host name, automatic addresses marked. Ranges, wildcards and services without addresses have none.
 * A host name that several namespaces have stands once: with the canonical service's addresses.
 */
export function renderHosts(services: Iterable<Service>): string {
  const byHost = new Map<string, Service>();
  for (const service of services) {
    const known = byHost.get(service.hostname);
    const better =
      !known || (service.canonical && !known.canonical) || (!known.canonical && service.namespace < known.namespace);
    if (better && !service.hostname.startsWith('*')) byHost.set(service.hostname, service);
  }
  const lines: string[] = [];
  for (const hostname of [...byHost.keys()].sort()) {
    for (const { address, length } of byHost.get(hostname)?.addresses ?? []) {
      if (length === undefined) lines.push(`${address} ${hostname}${isAutomatic(address) ? ' # automatic' : ''}`);
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}
