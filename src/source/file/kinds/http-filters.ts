// SPDX-License-Identifier: Apache-2.0
// Filters of HTTPRoutes and GRPCRoutes: their fields, and which may stand together.
import type { BackendRef, HttpFilter, PathChange, RedirectStatus } from '../../../mesh/route.ts';
import {
  type Field,
  listOf,
  needed,
  object,
  oneOf,
  parsed,
  port,
  type Raw,
  strict,
  text,
  unsupported,
} from '../fields.ts';
import type { Meta } from '../kind.ts';
import { isHost } from '../names.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';
import { cors, corsOf } from './cors.ts';
import {
  backendOf,
  headersOf,
  mirrorOf,
  printable,
  type RawBackend,
  requireOnly,
  requirePort,
  sharedFilters,
} from './route-fields.ts';

const hostname = text({ is: 'a host name', test: isHost });
const pathChange = object(
  {
    type: needed(oneOf('ReplaceFullPath', 'ReplacePrefixMatch')),
    replaceFullPath: printable,
    replacePrefixMatch: printable,
  },
  strict,
);

const statuses: readonly number[] = [301, 302, 303, 307, 308];
const status: Field<RedirectStatus> = {
  needed: false,
  read(node, reading) {
    const value = node.kind === 'scalar' ? node.value : undefined;
    if (typeof value === 'number' && statuses.includes(value)) return value as RedirectStatus;
    reading.fault(node.at, `must be one of ${statuses.join(', ')}`);
    return undefined;
  },
};

const fields = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
  ExternalAuth: 'externalAuth',
} as const;
type Type = keyof typeof fields;

export const httpFilters = listOf(
  object(
    {
      type: needed(oneOf(...(Object.keys(fields) as Type[]))),
      ...sharedFilters,
      requestRedirect: object(
        {
          scheme: parsed('http or https', (value) => (value === 'http' || value === 'https' ? value : undefined)),
          hostname,
          path: pathChange,
          port,
          statusCode: status,
        },
        strict,
      ),
      urlRewrite: object({ hostname, path: pathChange }, strict),
      cors,
      externalAuth: unsupported('requests that it holds for are refused'),
    },
    strict,
  ),
);

export const grpcFilters = listOf(
  object(
    {
      type: needed(oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef')),
      ...sharedFilters,
    },
    strict,
  ),
);

type RawFilter = NonNullable<Raw<typeof httpFilters>>[number] | NonNullable<Raw<typeof grpcFilters>>[number];

function changeOf(raw: Raw<typeof pathChange>, path: Path, reading: Reading): PathChange {
  const full = raw.type === 'ReplaceFullPath';
  const [field, other] = full
    ? (['replaceFullPath', 'replacePrefixMatch'] as const)
    : (['replacePrefixMatch', 'replaceFullPath'] as const);
  const value = raw[field];
  if (value === undefined) reading.faultAt([...path, field], 'is missing');
  if (raw[other] !== undefined) reading.faultAt([...path, other], `does not go with type ${raw.type}`);
  return { kind: full ? 'full' : 'prefix', value: value ?? '' };
}

function filterOf(raw: RawFilter, meta: Meta, path: Path, reading: Reading): HttpFilter {
  const field = fields[raw.type];
  const at = [...path, field];
  // Of this one nothing is read, so that it cannot be missed.
  if (raw.type === 'ExternalAuth') return { kind: 'unknown', name: raw.type };
  requireOnly(raw, field, path, reading);
  if (raw.requestHeaderModifier) return headersOf('request-headers', raw.requestHeaderModifier, at, reading);
  if (raw.responseHeaderModifier) return headersOf('response-headers', raw.responseHeaderModifier, at, reading);
  if (raw.requestMirror) return mirrorOf(raw.requestMirror, meta, at, reading);
  if ('cors' in raw && raw.cors) return corsOf(raw.cors, at, reading);
  if ('requestRedirect' in raw && raw.requestRedirect) {
    const { scheme, hostname: host, path: change, port: number, statusCode = 302 } = raw.requestRedirect;
    return {
      kind: 'redirect',
      ...(scheme !== undefined && { scheme }),
      ...(host !== undefined && { hostname: host }),
      ...(change && { path: changeOf(change, [...at, 'path'], reading) }),
      ...(number !== undefined && { port: number }),
      status: statusCode,
    };
  }
  if ('urlRewrite' in raw && raw.urlRewrite) {
    const { hostname: host, path: change } = raw.urlRewrite;
    return {
      kind: 'rewrite',
      ...(host !== undefined && { hostname: host }),
      ...(change && { path: changeOf(change, [...at, 'path'], reading) }),
    };
  }
  const { extensionRef } = raw;
  return { kind: 'unknown', name: `${extensionRef?.kind} ${extensionRef?.name}` };
}

/** Converts filters; those that may stand only once, or not together, are faults. */
export function filtersOf(
  raw: readonly RawFilter[] | undefined,
  meta: Meta,
  path: Path,
  reading: Reading,
): HttpFilter[] {
  const seen = new Set<string>();
  return (raw ?? []).map((one, i) => {
    const at = [...path, i];
    const repeats = one.type === 'RequestMirror' || one.type === 'ExtensionRef';
    if (seen.has(one.type) && !repeats) reading.faultAt([...at, 'type'], `${one.type} stands twice`);
    seen.add(one.type);
    const isEither = one.type === 'RequestRedirect' || one.type === 'URLRewrite';
    if (isEither && seen.has('RequestRedirect') && seen.has('URLRewrite')) {
      reading.faultAt([...at, 'type'], 'RequestRedirect and URLRewrite cannot stand together');
    }
    return filterOf(one, meta, at, reading);
  });
}

/** Of a rule at `path`. */
export const backendsOf = (
  raw: readonly (RawBackend & { readonly filters?: readonly RawFilter[] | undefined })[] | undefined,
  meta: Meta,
  path: Path,
  reading: Reading,
): BackendRef[] =>
  (raw ?? []).map((one, i) => {
    const at = [...path, 'backendRefs', i];
    requirePort(one, at, reading);
    return backendOf(one, meta, filtersOf(one.filters, meta, [...at, 'filters'], reading));
  });
