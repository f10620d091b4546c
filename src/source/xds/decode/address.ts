// SPDX-License-Identifier: Apache-2.0
// istio.workload.Address: a workload or a service.
import type { Change } from '../../../mesh/model.ts';
import { serviceKey } from '../../../mesh/service.ts';
import { Gateways } from './gateway.ts';
import { quote } from './quote.ts';
import type { FieldNames, Reader } from './reader.ts';
import { readService } from './service.ts';
import { Workloads } from './workload.ts';

const addressFields: FieldNames = { 1: 'workload', 2: 'service' };

export class Addresses {
  readonly #gateways = new Gateways();
  readonly #workloads = new Workloads(this.#gateways);

  /** Reads the message; what it returns counts only without faults. `name`: of the resource, which must be that of what is in it. */
  read(reader: Reader, name: string): Change | undefined {
    let change: Change | undefined;
    while (reader.more()) {
      const tag = reader.tag();
      // Of both, the last one counts.
      if (tag === ((1 << 3) | 2)) change = { kind: 'put-workload', workload: this.#workloads.read(reader, name) };
      else if (tag === ((2 << 3) | 2)) change = { kind: 'put-service', service: readService(reader, this.#gateways) };
      else reader.other(tag, addressFields);
    }
    if (change === undefined) {
      reader.fault('', 'neither workload nor service');
      return undefined;
    }
    if (change.kind === 'put-workload' && change.workload.uid !== name && change.workload.uid !== '') {
      reader.fault('uid', `${quote(change.workload.uid)} is not the name of the resource`);
    }
    if (change.kind === 'put-service' && serviceKey(change.service) !== name && change.service.hostname !== '') {
      reader.fault('hostname', `${quote(serviceKey(change.service))} is not the name of the resource`);
    }
    return change;
  }
}
