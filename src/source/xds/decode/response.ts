// SPDX-License-Identifier: Apache-2.0
// envoy.service.discovery.v3.DeltaDiscoveryResponse, in slices: one may hold a hundred thousand resources.
import { KmeshError } from '../../../errors.ts';
import type { RawResource, Response } from '../types.ts';
import { type FieldNames, Reader } from './reader.ts';

const responseFields: FieldNames = {
  1: 'system_version_info',
  2: 'resources',
  4: 'type_url',
  5: 'nonce',
  6: 'removed_resources',
};
const resourceFields: FieldNames = { 1: 'version', 2: 'resource', 3: 'name', 4: 'aliases' };
const anyFields: FieldNames = { 1: 'type_url', 2: 'value' };

/** About a quarter of a millisecond's work. */
const slice = 250;

const noAliases: readonly string[] = [];

/** Bodies stay in `bytes`, and are not looked at. Throws when the bytes are no such message. */
export function* readResponse(bytes: Uint8Array): Generator<undefined, Response> {
  const reader = new Reader();
  reader.open(bytes);
  let typeUrl = '';
  let nonce = '';
  let systemVersion = '';
  const resources: RawResource[] = [];
  const removed: string[] = [];
  for (let count = 1; reader.more(); count++) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        systemVersion = reader.ownText('system_version_info');
        break;
      case (2 << 3) | 2:
        resources.push(readResource(reader, resources.length));
        break;
      case (4 << 3) | 2:
        typeUrl = reader.ownText('type_url');
        break;
      case (5 << 3) | 2:
        nonce = reader.ownText('nonce');
        break;
      case (6 << 3) | 2:
        removed.push(reader.ownText('removed_resources'));
        break;
      default:
        reader.other(tag, responseFields);
    }
    if (count % slice === 0) yield undefined;
  }
  const faults = reader.close();
  if (faults.length > 0) throw new KmeshError('KM_XDS', `a response cannot be read: ${faults[0]}`);
  return { typeUrl, nonce, systemVersion, resources, removed };
}

function readResource(reader: Reader, index: number): RawResource {
  const mark = reader.mark;
  const outer = reader.enter();
  let name = '';
  let version = '';
  let typeUrl = '';
  let start = 0;
  let end = 0;
  let aliases: string[] | undefined;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        version = reader.ownText('version');
        break;
      case (2 << 3) | 2: {
        const anyMark = reader.mark;
        const any = reader.enter();
        while (reader.more()) {
          const part = reader.tag();
          if (part === ((1 << 3) | 2)) typeUrl = reader.text('type_url');
          else if (part === ((2 << 3) | 2)) {
            const length = reader.span();
            start = reader.pos - length;
            end = reader.pos;
          } else reader.other(part, anyFields);
        }
        reader.leave(any, anyMark, 'resource');
        break;
      }
      case (3 << 3) | 2:
        name = reader.ownText('name');
        break;
      case (4 << 3) | 2:
        aliases ??= [];
        aliases.push(reader.ownText('aliases'));
        break;
      default:
        reader.other(tag, resourceFields);
    }
  }
  reader.leave(outer, mark, 'resources', index);
  return { name, version, aliases: aliases ?? noAliases, typeUrl, bytes: reader.bytes, start, end };
}
