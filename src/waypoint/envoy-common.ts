// SPDX-License-Identifier: Apache-2.0
// Messages that several others of Envoy's API hold.
import type * as envoy from '../compile/l7/envoy.ts';
import { programSize } from '../compile/l7/re2.ts';
import { duration, flag, inner, type Message, message, text, whole, wrappedWhole } from './wire.ts';

export const empty: Message<envoy.Empty> = () => {};

/** Envoy takes 100 instructions unless its bootstrap, or the expression, says otherwise. */
const usualProgram = 80;
/** As good as none: RE2 has a limit of its own. */
const mostProgram = 100_000;
const sized = message<{ googleRe2: { maxProgramSize: number }; regex: string }>({
  googleRe2: inner(1, message({ maxProgramSize: wrappedWhole(1) })),
  regex: text(2),
});
/** The field for the size is deprecated, and Envoy warns of it: it is left out where it is not needed. */
const isSmall = (expression: string): boolean =>
  Buffer.byteLength(expression) < usualProgram && programSize(expression) < usualProgram;

const plain = message<envoy.Regex>({ regex: text(2) });
export const regex: Message<envoy.Regex> = (writer, value) =>
  isSmall(value.regex) ? plain(writer, value) : sized(writer, { googleRe2: { maxProgramSize: mostProgram }, ...value });
export const regexRewrite = message<envoy.RegexRewrite>({ pattern: inner(1, regex), substitution: text(2) });
export const stringMatcher = message<envoy.StringMatcher>({
  exact: text(1),
  prefix: text(2),
  suffix: text(3),
  safeRegex: inner(5, regex),
  ignoreCase: flag(6),
  contains: text(7),
});
export const filterStateMatcher = message<envoy.FilterStateMatcher>({
  key: text(1),
  stringMatch: inner(2, stringMatcher),
});
export const cidrRange = message<envoy.CidrRange>({ addressPrefix: text(1), prefixLen: wrappedWhole(2) });
export const address = message<envoy.Address>({
  socketAddress: inner(1, message<envoy.SocketAddress>({ address: text(2), portValue: whole(3), ipv4Compat: flag(6) })),
});
export const configSource = message<envoy.ConfigSource>({
  ads: inner(3, empty),
  initialFetchTimeout: duration(4),
  resourceApiVersion: whole(6),
});
export const headerMatcher = message<envoy.HeaderMatcher>({
  name: text(1),
  presentMatch: flag(7),
  stringMatch: inner(13, stringMatcher),
});

export const hashPolicy = message<envoy.HashPolicy>({
  header: inner(1, message({ headerName: text(1) })),
  cookie: inner(
    2,
    message<NonNullable<envoy.HashPolicy['cookie']>>({ name: text(1), ttl: duration(2), path: text(3) }),
  ),
  connectionProperties: inner(3, message({ sourceIp: flag(1) })),
  queryParameter: inner(5, message({ name: text(1) })),
});
