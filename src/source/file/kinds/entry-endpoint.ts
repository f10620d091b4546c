// SPDX-License-Identifier: Apache-2.0
// What a WorkloadEntry's spec and an endpoint of a ServiceEntry have in common.
import { parseLocality } from '../../../mesh/locality.ts';
import { noLocality } from '../../../mesh/workload.ts';
import { parseAddress } from '../../../net/address.ts';
import { type ObjectOf, port, tableOf, text, whole } from '../fields.ts';
import { labels, serviceAccount } from '../kind.ts';
import { isHost } from '../names.ts';
import type { EntryEndpoint } from '../objects.ts';

export const endpointShape = {
  address: text({
    is: 'an address or a host name',
    test: (value) => parseAddress(value) !== undefined || (isHost(value) && !/^[\d.]+$/.test(value)),
  }),
  ports: tableOf(port),
  labels,
  network: text(),
  locality: text(),
  weight: whole(0, 0xffff_ffff),
  serviceAccount,
};

/** An endpoint of what was read; without a weight it counts 1, and 0 gets nothing. */
export function endpointOf(raw: ObjectOf<typeof endpointShape>): EntryEndpoint {
  const address = raw.address === undefined ? '' : (parseAddress(raw.address) ?? '');
  return {
    address,
    hostname: address === '' ? (raw.address ?? '').toLowerCase() : '',
    ports: new Map(Object.entries(raw.ports ?? {})),
    weight: raw.weight ?? 1,
    locality: raw.locality === undefined ? noLocality : parseLocality(raw.locality),
    network: raw.network ?? '',
    serviceAccount: raw.serviceAccount ?? 'default',
  };
}
