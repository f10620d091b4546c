// SPDX-License-Identifier: Apache-2.0
// A resource as it came -> what it changes in the model, or everything that is wrong with it. Never throws, whatever the bytes are.
import type { Policy } from '../../../mesh/policy.ts';
import { closingPolicy } from '../closing.ts';
import { type Checked, type RawResource, type TypeName, typeUrls } from '../types.ts';
import { Addresses } from './address.ts';
import { readAuthorization } from './authorization.ts';
import { quote } from './quote.ts';
import { Reader } from './reader.ts';

export interface Decoder {
  check(type: TypeName, raw: RawResource): Checked;
}

/** What repeats from resource to resource is held once for as long as the decoder lives. */
export function openDecoder(): Decoder {
  const reader = new Reader();
  const addresses = new Addresses();
  return {
    check(type, raw) {
      if (raw.typeUrl !== typeUrls[type]) {
        const faults = [`type URL ${quote(raw.typeUrl)}, must be "${typeUrls[type]}"`];
        return type === 'address' ? { ok: false, faults } : refused(raw.name, undefined, faults);
      }
      reader.open(raw.bytes, raw.start, raw.end);
      if (type === 'authorization') {
        const { policy, reach } = readAuthorization(reader, raw.name);
        const faults = reader.close();
        if (faults.length === 0) return { ok: true, change: { kind: 'put-policy', policy } };
        return reach ? refused(raw.name, reach.scope, faults) : { ok: false, faults };
      }
      const change = addresses.read(reader, raw.name);
      const faults = reader.close();
      return faults.length === 0 && change !== undefined ? { ok: true, change } : { ok: false, faults };
    },
  };
}

function refused(name: string, scope: Policy['scope'] | undefined, faults: readonly string[]): Checked {
  return { ok: false, faults, closing: closingPolicy(name, scope, faults) };
}
