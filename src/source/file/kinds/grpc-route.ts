// SPDX-License-Identifier: Apache-2.0
// GRPCRoute of the Gateway API, for services as parents.
import type { GrpcMatch, GrpcRule } from '../../../mesh/route.ts';
import { listOf, object, oneOf, type Raw, silentFields, strict, text } from '../fields.ts';
import { base, defineKind, type Meta } from '../kind.ts';
import type { Path } from '../node.ts';
import type { GrpcRouteObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import { backendsOf, filtersOf, grpcFilters } from './http-filters.ts';
import { headerMatches, namedMatches } from './http-route.ts';
import {
  gatewayGroup,
  nonEmpty,
  noteHostnames,
  parentRefs,
  parentsOf,
  ruleNames,
  weightedFields,
} from './route-fields.ts';
import { sessionOf, sessionPersistence } from './session-persistence.ts';

const match = object(
  {
    method: object({ type: oneOf('Exact', 'RegularExpression'), service: text(), method: text() }, strict),
    headers: headerMatches,
  },
  strict,
);

const backendRefs = listOf(object({ ...weightedFields, filters: grpcFilters }, strict));

const rule = object(
  {
    name: nonEmpty,
    matches: listOf(match),
    filters: grpcFilters,
    backendRefs,
    sessionPersistence,
  },
  strict,
);

export const grpcRouteKind = defineKind({
  kind: 'GRPCRoute',
  group: gatewayGroup,
  versions: ['v1', 'v1alpha2'],
  namespaced: true,
  shape: {
    spec: object(
      { parentRefs, hostnames: listOf(text()), rules: listOf(rule), ...silentFields('useDefaultGateways') },
      strict,
    ),
    ...silentFields('status'),
  },
  make({ spec }, meta, reading): GrpcRouteObject {
    const parents = parentsOf(spec?.parentRefs, meta);
    noteHostnames(spec?.hostnames, parents, reading);
    const rules = spec?.rules ?? [];
    const names = ruleNames(rules, reading);
    return {
      kind: 'GRPCRoute',
      ...base(meta),
      parents,
      rules: rules.map((one, i) => ruleOf(one, names[i] as string, meta, ['spec', 'rules', i], reading)),
    };
  },
});

function ruleOf(raw: Raw<typeof rule>, name: string, meta: Meta, path: Path, reading: Reading): GrpcRule {
  const backends = backendsOf(raw.backendRefs, meta, path, reading);
  return {
    name,
    matches: (raw.matches?.length ? raw.matches : [{}]).map((one, i) => matchOf(one, [...path, 'matches', i], reading)),
    filters: filtersOf(raw.filters, meta, [...path, 'filters'], reading),
    backends,
    ...(raw.sessionPersistence && {
      session: sessionOf(raw.sessionPersistence, backends, [...path, 'sessionPersistence'], reading),
    }),
  };
}

const serviceName = /^(?![.])[A-Za-z0-9_.]{1,1024}$/;
const methodName = /^[A-Za-z_][A-Za-z_0-9]{0,1023}$/;

function matchOf(raw: Partial<Raw<typeof match>>, path: Path, reading: Reading): GrpcMatch {
  const headers = namedMatches(raw.headers, (name) => name.toLowerCase(), [...path, 'headers'], reading);
  if (!raw.method) return { headers };
  const { type = 'Exact', service = '', method = '' } = raw.method;
  const at = [...path, 'method'];
  if (service === '' && method === '') reading.faultAt(at, 'must have a service or a method');
  if (type === 'Exact') {
    if (service !== '' && !serviceName.test(service))
      reading.faultAt([...at, 'service'], 'is no name of a gRPC service');
    if (method !== '' && !methodName.test(method)) reading.faultAt([...at, 'method'], 'is no name of a gRPC method');
  }
  return { method: { kind: type === 'Exact' ? 'exact' : 'regex', service, method }, headers };
}
