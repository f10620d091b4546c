// SPDX-License-Identifier: Apache-2.0
// TLSRoute and TCPRoute of the Gateway API, for services as parents; and ReferenceGrant.
import { listOf, needed, object, type Raw, silentFields, strict, text } from '../fields.ts';
import { base, defineKind, type Meta } from '../kind.ts';
import { isHost, isLabel } from '../names.ts';
import type { ReferenceGrantObject, TcpRouteObject, TlsRouteObject } from '../objects.ts';
import type { Reading } from '../reading.ts';
import {
  backendOf,
  gatewayGroup,
  gatewayVersions,
  nonEmpty,
  parentRefs,
  parentsOf,
  requirePort,
  ruleNames,
  weightedFields,
} from './route-fields.ts';

const backendRefs = listOf(object(weightedFields, strict));
const rules = listOf(object({ name: nonEmpty, backendRefs: needed(backendRefs) }, strict), { min: 1 });

const sniHost = text({
  is: 'a host name, or "*." and a host name',
  test: (value) => isHost(value.startsWith('*.') ? value.slice(2) : value) && !/^[\d.]+$/.test(value),
});

function rulesOf(raw: Raw<typeof rules>, meta: Meta, reading: Reading) {
  const names = ruleNames(raw, reading);
  return raw.map((rule, i) => ({
    name: names[i] as string,
    backends: rule.backendRefs.map((one, k) => {
      requirePort(one, ['spec', 'rules', i, 'backendRefs', k], reading);
      return backendOf(one, meta);
    }),
  }));
}

export const tlsRouteKind = defineKind({
  kind: 'TLSRoute',
  group: gatewayGroup,
  versions: gatewayVersions,
  namespaced: true,
  shape: {
    spec: needed(
      object(
        { parentRefs, hostnames: listOf(sniHost), rules: needed(rules), ...silentFields('useDefaultGateways') },
        strict,
      ),
    ),
    ...silentFields('status'),
  },
  make({ spec }, meta, reading): TlsRouteObject {
    return {
      kind: 'TLSRoute',
      ...base(meta),
      parents: parentsOf(spec.parentRefs, meta),
      hostnames: (spec.hostnames ?? []).map((name) => name.toLowerCase()),
      rules: rulesOf(spec.rules, meta, reading),
    };
  },
});

export const tcpRouteKind = defineKind({
  kind: 'TCPRoute',
  group: gatewayGroup,
  versions: gatewayVersions,
  namespaced: true,
  shape: {
    spec: needed(object({ parentRefs, rules: needed(rules), ...silentFields('useDefaultGateways') }, strict)),
    ...silentFields('status'),
  },
  make({ spec }, meta, reading): TcpRouteObject {
    return {
      kind: 'TCPRoute',
      ...base(meta),
      parents: parentsOf(spec.parentRefs, meta),
      rules: rulesOf(spec.rules, meta, reading),
    };
  },
});

const namespace = needed(text({ is: 'a lowercase DNS label', test: isLabel }));

export const referenceGrantKind = defineKind({
  kind: 'ReferenceGrant',
  group: gatewayGroup,
  versions: gatewayVersions,
  namespaced: true,
  shape: {
    spec: needed(
      object(
        {
          from: needed(
            listOf(object({ group: needed(text()), kind: needed(nonEmpty), namespace }, strict), { min: 1 }),
          ),
          to: needed(
            listOf(object({ group: needed(text()), kind: needed(nonEmpty), name: nonEmpty }, strict), { min: 1 }),
          ),
        },
        strict,
      ),
    ),
    ...silentFields('status'),
  },
  make({ spec }, meta): ReferenceGrantObject {
    return {
      kind: 'ReferenceGrant',
      ...base(meta),
      from: spec.from,
      to: spec.to.map(({ group, kind, name }) => ({ group, kind, ...(name !== undefined && { name }) })),
    };
  },
});
