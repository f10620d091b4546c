// SPDX-License-Identifier: Apache-2.0
// Which of several services an address and port belong to. Envoy refuses a listener where two filter chains are for the same, and with that
// all that is new in it, policies too: nobody may bring that about by writing down somebody else's address.
import type * as envoy from './envoy.ts';

const clusterName = /\.svc\.cluster\.local$/;

/** Keys of services, those first that have an address when others want it too: of the waypoint's own namespace, then of the cluster. */
export function inOrder(keys: Iterable<string>, namespace: string): readonly string[] {
  const rank = (key: string) => (key.startsWith(`${namespace}/`) ? 0 : 2) + (clusterName.test(key) ? 0 : 1);
  return [...keys].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

/** Gives, of the chains of one service after the other, what nobody before has. */
export function openClaims(): (chains: readonly envoy.FilterChain[]) => readonly envoy.FilterChain[] {
  const owners = new Map<string, readonly envoy.FilterChain[]>();
  const seen = new Set<string>();
  return (chains) =>
    chains.flatMap((chain) => {
      const {
        prefixRanges = [],
        destinationPort = '',
        serverNames = [],
        applicationProtocols = [],
      } = chain.filterChainMatch;
      const free = prefixRanges.filter(({ addressPrefix, prefixLen }) => {
        const place = `${destinationPort} ${addressPrefix}/${prefixLen}`;
        const owner = owners.get(place);
        const match = [place, ...serverNames, ...applicationProtocols].join(' ');
        if ((owner !== undefined && owner !== chains) || seen.has(match)) return false;
        owners.set(place, chains);
        seen.add(match);
        return true;
      });
      if (free.length === 0) return [];
      if (free.length === prefixRanges.length) return [chain];
      return [{ ...chain, filterChainMatch: { ...chain.filterChainMatch, prefixRanges: free } }];
    });
}
