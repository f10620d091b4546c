// SPDX-License-Identifier: Apache-2.0
// The agent's model: one line for each object, its fields in short.
import type { ConfigDump, ConfigObject } from '../../tasks/show-config.ts';
import { toPlain } from '../plain.ts';
import type { Block, Cell } from '../spec.ts';

/** Characters of the fields that fit on a line; -o yaml shows them whole. */
const width = 100;

/** What the name says already. */
const named: ReadonlySet<string> = new Set(['uid', 'name', 'namespace', 'hostname', 'origin', 'shadows']);

const isEmpty = (value: unknown): boolean =>
  value === '' || value === false || (Array.isArray(value) && value.length === 0);

function fieldText(key: string, value: unknown): string {
  if (key === 'endpoints') return `endpoints=${Object.keys(value as object).length}`;
  return `${key}=${typeof value === 'string' ? value : JSON.stringify(toPlain(value))}`;
}

function fieldsText(fields: ConfigObject): string {
  const text = Object.entries(fields)
    .filter(([key, value]) => !named.has(key) && !isEmpty(value))
    .map(([key, value]) => fieldText(key, value))
    .join(' ');
  return text.length > width ? `${text.slice(0, width)}…` : text;
}

const kinds = [
  ['workload', 'workloads', ({ uid }: ConfigObject) => String(uid)],
  ['service', 'services', ({ namespace, hostname }: ConfigObject) => `${namespace}/${hostname}`],
  ['policy', 'policies', ({ namespace, name }: ConfigObject) => `${namespace}/${name}`],
  ['gateway', 'gateways', ({ namespace, name }: ConfigObject) => `${namespace}/${name}`],
  ['route', 'routes', ({ kind, namespace, name }: ConfigObject) => `${kind} ${namespace}/${name}`],
] as const;

async function* rows(dump: ConfigDump): AsyncGenerator<readonly Cell[]> {
  for (const [kind, list, nameOf] of kinds) {
    for await (const object of dump[list]) {
      const { origin, shadows } = object;
      const from = origin === undefined ? [] : [origin, shadows?.join(', ') ?? ''];
      yield [kind, nameOf(object), ...from, fieldsText(object)];
    }
  }
}

/** The columns follow from the first row: origins are there when they were asked for. */
export async function* viewConfig(dump: ConfigDump): AsyncGenerator<Block> {
  const all = rows(dump);
  const first = await all.next();
  const origins = !first.done && first.value.length > 3 ? ['ORIGIN', 'SHADOWS'] : [];
  yield {
    kind: 'table',
    head: ['KIND', 'NAME', ...origins, 'FIELDS'],
    rows: (async function* () {
      try {
        if (first.done) return;
        yield first.value;
        yield* all;
      } finally {
        await all.return(undefined);
      }
    })(),
    none: 'nothing configured',
  };
}
