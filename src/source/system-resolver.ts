// SPDX-License-Identifier: Apache-2.0
// Names by the machine's name servers, with the records' own time to live; then, for what these do not know, as the machine's programs see it.
import { NODATA, NOTFOUND } from 'node:dns';
import { Resolver as Dns, lookup } from 'node:dns/promises';
import { parseAddress } from '../net/address.ts';
import type { Answer, Resolver } from './resolve.ts';

/** Names that only the machine knows (its hosts file) have no time to live: asked again after this. */
const lookupSeconds = 30;

/**
 * A resolver over node:dns. What one family's query cannot say is missing from the answer; it fails when neither says anything.
 * @param servers "address:port" of name servers in place of the machine's
 * The machine's own look-up occupies a thread of Node's small pool while it waits, so one is made at a time.
 */
export function systemResolver(servers?: readonly string[]): Resolver {
  let previous: Promise<unknown> = Promise.resolve();
  const machine = async (hostname: string): Promise<Answer> => {
    const turn = previous.then(() => lookup(hostname, { all: true }));
    previous = turn.catch(() => undefined);
    const found = await turn;
    return { addresses: found.flatMap(({ address }) => parseAddress(address) ?? []), ttl: lookupSeconds };
  };
  return async (hostname, signal) => {
    const dns = new Dns({ timeout: 2000, tries: 2 });
    if (servers) dns.setServers(servers);
    const stop = () => dns.cancel();
    signal.addEventListener('abort', stop);
    try {
      const answers = await Promise.allSettled([
        dns.resolve4(hostname, { ttl: true }),
        dns.resolve6(hostname, { ttl: true }),
      ]);
      const records = answers.flatMap((a) => (a.status === 'fulfilled' ? a.value : []));
      if (records.length > 0) {
        const addresses = records.flatMap(({ address }) => parseAddress(address) ?? []);
        const silent = answers.findIndex((a) => a.status === 'rejected' && !saysNone(a.reason));
        const unanswered = silent === -1 ? {} : ({ unanswered: silent === 0 ? 4 : 6 } as const);
        return { addresses, ttl: Math.min(...records.map((r) => r.ttl)), ...unanswered };
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
    return machine(hostname);
  };
}

/** True when a name server did answer, and said that there are no such records. */
function saysNone(reason: unknown): boolean {
  const code = reason instanceof Error && 'code' in reason ? reason.code : undefined;
  return code === NODATA || code === NOTFOUND;
}
