// SPDX-License-Identifier: Apache-2.0
// The CORS filter of HTTPRoutes.
import type { Cors } from '../../../mesh/route.ts';
import { flag, listOf, object, type Raw, strict, text, whole } from '../fields.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';
import { headerName } from './route-fields.ts';

const origin = text({
  is: '"*", or scheme://host[:port]',
  test: (value) => /^(\*|[a-zA-Z][a-zA-Z0-9+\-.]*:\/\/[^:/?#@\s]+(:([1-9]\d{0,4}))?)$/.test(value),
});
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*'];
const method = text({ is: `one of ${methods.join(', ')}`, test: (value) => methods.includes(value) });

export const cors = object(
  {
    allowOrigins: listOf(origin),
    allowCredentials: flag(),
    allowMethods: listOf(method),
    allowHeaders: listOf(headerName),
    exposeHeaders: listOf(headerName),
    maxAge: whole(1, 2_147_483_647),
  },
  strict,
);

export function corsOf(raw: Raw<typeof cors>, path: Path, reading: Reading): { readonly kind: 'cors' } & Cors {
  const alone = (field: 'allowOrigins' | 'allowMethods' | 'allowHeaders' | 'exposeHeaders'): readonly string[] => {
    const list = raw[field] ?? [];
    if (list.length > 1 && list.includes('*')) reading.faultAt([...path, field], '"*" stands alone');
    return list;
  };
  return {
    kind: 'cors',
    origins: alone('allowOrigins'),
    credentials: raw.allowCredentials ?? false,
    methods: alone('allowMethods'),
    headers: alone('allowHeaders'),
    exposed: alone('exposeHeaders'),
    maxAgeSeconds: raw.maxAge ?? 5,
  };
}
