// SPDX-License-Identifier: Apache-2.0
// Session persistence of rules of HTTPRoutes and GRPCRoutes.
import type { BackendRef, SessionPersistence } from '../../../mesh/route.ts';
import { object, oneOf, type Raw, strict, text, unsupported } from '../fields.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';
import { duration } from './route-fields.ts';

export const sessionPersistence = object(
  {
    sessionName: text({
      is: 'the name of a cookie or header',
      test: (value) => /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,128}$/.test(value),
    }),
    type: oneOf('Cookie', 'Header'),
    absoluteTimeout: duration,
    idleTimeout: unsupported('a session has no end because of silence'),
    cookieConfig: object({ lifetimeType: oneOf('Permanent', 'Session') }, strict),
  },
  strict,
);

export function sessionOf(
  raw: Raw<typeof sessionPersistence>,
  backends: readonly BackendRef[],
  path: Path,
  reading: Reading,
): SessionPersistence {
  const { sessionName: name = '', type = 'Cookie', absoluteTimeout, cookieConfig } = raw;
  const isPermanent = cookieConfig?.lifetimeType === 'Permanent';
  if (cookieConfig && type === 'Header') reading.faultAt([...path, 'cookieConfig'], 'does not go with type Header');
  if (isPermanent && absoluteTimeout === undefined) reading.faultAt([...path, 'absoluteTimeout'], 'is missing');
  if (!isPermanent && absoluteTimeout !== undefined) {
    reading.warnAt([...path, 'absoluteTimeout'], 'has an effect on permanent cookies only');
  }
  if (backends.filter(({ weight }) => weight > 0).length > 1) {
    reading.warnAt(path, 'holds within a backend: which of several is drawn for each request');
  }
  return {
    kind: type === 'Cookie' ? 'cookie' : 'header',
    name,
    ...(isPermanent && absoluteTimeout !== undefined && { lifetime: absoluteTimeout }),
  };
}
