// SPDX-License-Identifier: Apache-2.0
// What a route says to filters of Envoy: which pages of other origins may call, and how requests of one session find their endpoint.
import type { Cors, GrpcRoute, HttpRoute, HttpRule, SessionPersistence } from '../../mesh/route.ts';
import { corsFilter, sessionFilter } from './chains.ts';
import type * as envoy from './envoy.ts';
import { quoted } from './regex.ts';

type Config = Pick<envoy.EnvoyRoute, 'typedPerFilterConfig'>;

export function filterFields(route: HttpRoute | GrpcRoute, index: number, { filters, session }: HttpRule): Config {
  const cors = filters.find((filter) => filter.kind === 'cors');
  const fields = {
    ...(cors?.kind === 'cors' && { [corsFilter]: corsPolicy(cors) }),
    ...(session && { [sessionFilter]: sessionState(session, `${route.namespace}.${route.name}.${index}`) }),
  };
  return cors || session ? { typedPerFilterConfig: fields } : {};
}

const wellKnownPorts: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** A port that goes without saying may be said by the client, or not. */
function originMatcher(origin: string): envoy.StringMatcher {
  if (origin === '*') return { safeRegex: { regex: '.*' } };
  const [, scheme = '', host = '', digits] = /^([^:]+):\/\/([^/]*?)(?::(\d+))?$/.exec(origin) ?? [];
  const usual = wellKnownPorts[scheme];
  const isUsual = digits === undefined || Number(digits) === usual;
  const port = isUsual ? (usual === undefined ? '' : `(?::${usual})?`) : `:${digits}`;
  return { safeRegex: { regex: `${quoted(`${scheme}://`)}${host.split('*').map(quoted).join('[^/:]*')}${port}` } };
}

function corsPolicy({ origins, credentials, methods, headers, exposed, maxAgeSeconds }: Cors): envoy.Any {
  const listed = (names: readonly string[]) => (names.length > 0 ? names.join(',') : undefined);
  const [allowMethods, allowHeaders, exposeHeaders] = [methods, headers, exposed].map(listed);
  return {
    type: 'envoy.extensions.filters.http.cors.v3.CorsPolicy',
    value: {
      allowOriginStringMatch: origins.map(originMatcher),
      ...(allowMethods !== undefined && { allowMethods }),
      ...(allowHeaders !== undefined && { allowHeaders }),
      ...(exposeHeaders !== undefined && { exposeHeaders }),
      maxAge: String(maxAgeSeconds),
      allowCredentials: credentials,
      forwardNotMatchingPreflights: false,
    },
  };
}

/** `unique`: by which the rule is known, where the name of the session is ours to choose. */
function sessionState({ kind, name, lifetime }: SessionPersistence, unique: string): envoy.Any {
  const chosen = name === '' ? `kmesh-session-${unique}` : name;
  const typedConfig: envoy.Any =
    kind === 'cookie'
      ? {
          type: 'envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState',
          value: { cookie: { name: chosen, ...(lifetime !== undefined && { ttl: lifetime }), path: '/' } },
        }
      : {
          type: 'envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState',
          value: { name: chosen },
        };
  const state = { name: `envoy.http.stateful_session.${kind}`, typedConfig };
  return {
    type: 'envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute',
    value: { statefulSession: { sessionState: state } },
  };
}
