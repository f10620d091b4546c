// SPDX-License-Identifier: Apache-2.0
// What routes of the Gateway API have in common: parents, backends, header changes and lengths of time.
import type { BackendRef, HttpFilter, ParentRef } from '../../../mesh/route.ts';
import { listOf, needed, object, parsed, port, type Raw, strict, text, whole } from '../fields.ts';
import type { Meta } from '../kind.ts';
import { isLabel } from '../names.ts';
import type { Path } from '../node.ts';
import type { Reading } from '../reading.ts';

export const gatewayGroup = 'gateway.networking.k8s.io';
export const gatewayVersions = ['v1', 'v1beta1', 'v1alpha2', 'v1alpha3'];

const namespace = text({ is: 'a lowercase DNS label', test: isLabel });
export const nonEmpty = text({ is: 'text that is not empty', test: (value) => value !== '' });

export const parentRefs = listOf(
  object({ group: text(), kind: text(), namespace, name: needed(nonEmpty), sectionName: nonEmpty, port }, strict),
);

const backendFields = { group: text(), kind: text(), namespace, name: needed(nonEmpty), port };
export const backendRef = object(backendFields, strict);
/** Of a backend that gets a share of what comes. */
export const weightedFields = { ...backendFields, weight: whole(0, 1_000_000) };

export interface RawBackend extends Raw<typeof backendRef> {
  readonly weight?: number | undefined;
}

export function parentsOf(raw: Raw<typeof parentRefs> | undefined, meta: Meta): ParentRef[] {
  return (raw ?? []).map(({ group = gatewayGroup, kind = 'Gateway', namespace, name, port: number, sectionName }) => ({
    group,
    kind,
    namespace: namespace ?? meta.namespace,
    name,
    ...(number !== undefined && { port: number }),
    ...(sectionName !== undefined && { section: sectionName }),
  }));
}

export function backendOf(raw: RawBackend, meta: Meta, filters: readonly HttpFilter[] = []): BackendRef {
  const { group = '', kind = 'Service', namespace, name, port: number, weight = 1 } = raw;
  const own = kind === 'Hostname' && group === 'networking.istio.io' ? '' : meta.namespace;
  const at = { group, kind, namespace: namespace ?? own, name };
  return { ...at, ...(number !== undefined && { port: number }), weight, filters };
}

/** A Service has no port of its own that could be meant. */
export function requirePort(raw: RawBackend, path: Path, reading: Reading): void {
  const isService = (raw.kind ?? 'Service') === 'Service' && (raw.group ?? '') === '';
  if (isService && raw.port === undefined) reading.faultAt([...path, 'port'], 'is missing');
}

const token = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,256}$/;
export const headerName = text({ is: 'the name of a header', test: (value) => token.test(value) });

/** No control characters: nothing that could begin another line. Envoy takes twice as many bytes, and a percent sign becomes two. */
export const printable = text({
  is: 'text without control characters, of at most 8192 bytes',
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant
  test: (value) => Buffer.byteLength(value) <= 8192 && !/[\x00-\x08\x0a-\x1f\x7f]/.test(value),
});

const pairs = listOf(object({ name: needed(headerName), value: needed(printable) }, strict));
const headerChange = object({ set: pairs, add: pairs, remove: listOf(headerName) }, strict);

const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** "1h30m", "500ms", as milliseconds. */
function parseDuration(value: string): number | undefined {
  if (!/^(\d{1,5}(h|m|s|ms)){1,4}$/.test(value)) return undefined;
  let sum = 0;
  for (const [, digits, unit] of value.matchAll(/(\d{1,5})(ms|h|m|s)/g))
    sum += Number(digits) * (units[unit ?? ''] ?? 0);
  return sum;
}

export const duration = parsed('a length of time such as 500ms, 10s or 1m30s', parseDuration);

export const extensionRef = object({ group: text(), kind: needed(nonEmpty), name: needed(nonEmpty) }, strict);
const fraction = object({ numerator: needed(whole(0, 2_147_483_647)), denominator: whole(1, 2_147_483_647) }, strict);

/** Fields of filters that HTTPRoute and GRPCRoute share. */
export const sharedFilters = {
  requestHeaderModifier: headerChange,
  responseHeaderModifier: headerChange,
  requestMirror: object({ backendRef: needed(backendRef), percent: whole(0, 100), fraction }, strict),
  extensionRef,
};

export type RawMirror = Raw<typeof sharedFilters.requestMirror>;

export function mirrorOf(raw: RawMirror, meta: Meta, path: Path, reading: Reading): HttpFilter {
  if (raw.percent !== undefined && raw.fraction !== undefined) {
    reading.faultAt([...path, 'fraction'], 'cannot stand beside percent');
  }
  requirePort(raw.backendRef, [...path, 'backendRef'], reading);
  const { numerator = raw.percent ?? 100, denominator = 100 } = raw.fraction ?? {};
  if (numerator > denominator) reading.faultAt([...path, 'fraction'], 'must not be more than one');
  return { kind: 'mirror', backend: backendOf(raw.backendRef, meta), share: [numerator, denominator] };
}

export function headersOf(
  kind: 'request-headers' | 'response-headers',
  raw: Raw<typeof headerChange>,
  path: Path,
  reading: Reading,
): HttpFilter {
  const seen = new Set<string>();
  const check = (name: string, at: Path): string => {
    const lower = name.toLowerCase();
    if (seen.has(lower)) reading.faultAt(at, `${JSON.stringify(name)} is changed already`);
    else if (kind === 'request-headers' && lower === 'host') reading.faultAt(at, 'is the host: that is for URLRewrite');
    else if (lower === 'host') reading.faultAt(at, 'is the host: answers have none');
    seen.add(lower);
    return lower;
  };
  const list = (field: 'set' | 'add') =>
    (raw[field] ?? []).map(({ name, value }, i) => [check(name, [...path, field, i, 'name']), value] as const);
  const [set, add] = [list('set'), list('add')];
  return { kind, set, add, remove: (raw.remove ?? []).map((name, i) => check(name, [...path, 'remove', i])) };
}

/** Reports what stands beside the field that a filter's type names, and a type that has none. */
export function requireOnly(raw: Readonly<Record<string, unknown>>, field: string, path: Path, reading: Reading): void {
  for (const key in raw) {
    if (key !== 'type' && key !== field) reading.faultAt([...path, key], `does not go with type ${String(raw.type)}`);
  }
  if (raw[field] === undefined) reading.faultAt([...path, field], 'is missing');
}

/** Names that rules have; one that stands twice is a fault. */
export function ruleNames(rules: readonly { readonly name?: string | undefined }[], reading: Reading): string[] {
  const seen = new Set<string>();
  return rules.map(({ name = '' }, i) => {
    if (name !== '' && seen.has(name)) reading.faultAt(['spec', 'rules', i, 'name'], 'stands twice');
    seen.add(name);
    return name;
  });
}

/** Fields of `spec` that are known and mean nothing for services as parents. */
export function noteHostnames(
  hostnames: readonly unknown[] | undefined,
  parents: readonly ParentRef[],
  reading: Reading,
): void {
  // Of a Gateway at the edge they are somebody else's to match.
  if (hostnames?.length && parents.some(({ kind }) => kind !== 'Gateway')) {
    reading.warnAt(
      ['spec', 'hostnames'],
      'have no effect where the parent is a Service (match the header Host instead)',
    );
  }
}
