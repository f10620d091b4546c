// SPDX-License-Identifier: Apache-2.0
// A resource as it came -> what it changes in the model, or everything that is wrong with it. Never throws, whatever the bytes are.
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
        return { ok: false, faults: [`type URL ${quote(raw.typeUrl)}, must be "${typeUrls[type]}"`] };
      }
      reader.open(raw.bytes, raw.start, raw.end);
      const change = type === 'address' ? addresses.read(reader, raw.name) : readAuthorization(reader, raw.name);
      const faults = reader.close();
      return faults.length === 0 && change !== undefined ? { ok: true, change } : { ok: false, faults };
    },
  };
}
