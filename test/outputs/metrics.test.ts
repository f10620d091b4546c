// SPDX-License-Identifier: Apache-2.0
// Metrics as text, and the catalogue against what Prometheus asks of names; a parser of Prometheus reads them in test/interop.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { distributions, metrics, times } from '../../src/outputs/catalogue.ts';
import { processMetrics } from '../../src/outputs/process.ts';
import { agentMetrics } from '../../src/outputs/registry.ts';
import { facts } from './facts.ts';

const fresh = () => agentMetrics({ version: '1.2.3', abiVersion: 4 });
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const sampleOf = (text: string, series: string): number | undefined => {
  const line = lines(text).find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('metrics', () => {
  it('show the facts of the moment', async () => {
    const text = await fresh().text(facts);
    const expected: Record<string, number> = {
      'kmesh_build_info{version="1.2.3",abi="4"}': 1,
      kmesh_ready: 1,
      'kmesh_source_complete{source="/etc/my \\"mesh\\"\\\\x\\n"}': 0,
      kmesh_xds_connected: 1,
      kmesh_xds_connection_change_timestamp_seconds: 1_700_000_000,
      'istio_xds_connection_terminations_total{reason="ConnectionError"}': 2,
      'istio_xds_message_bytes_total{url="type.googleapis.com/authorization"}': 22,
      'kmesh_xds_nacks_total{type="address"}': 14,
      'kmesh_xds_last_response_timestamp_seconds{type="address"}': 1_700_000_000.5,
      'kmesh_map_used_entries{map="frontend"}': 12,
      'kmesh_map_size_entries{map="frontend"}': 131_072,
      kmesh_heal_last_duration_seconds: 0.25,
      'kmesh_authz_pods{state="pending"}': 1,
      'kmesh_authz_verdicts_total{policy="shop/cart",verdict="denied"}': 5,
      'kmesh_authz_verdicts_total{policy="",verdict="allowed"}': 6,
      'kmesh_authz_denial_records_total{fate="suppressed"}': 4,
      'kmesh_program_events_total{reason="balanced"}': 9_007_199_254_740_000,
      'kmesh_program_events_total{reason="not_enrolled"}': 0,
      'kmesh_demand_known_duration_seconds_bucket{le="0.01"}': 2,
      'kmesh_demand_known_duration_seconds_bucket{le="+Inf"}': 3,
      kmesh_demand_known_duration_seconds_sum: 0.021,
      'kmesh_waypoint_route_conditions{reason="BackendNotFound"}': 2,
      nodejs_eventloop_lag_max_seconds: 0.02,
    };
    for (const [series, value] of Object.entries(expected))
      expect([series, sampleOf(text, series)]).toEqual([series, value]);
  });

  it('have a value each, once, and only those of the process before there are facts', async () => {
    const own = fresh();
    const names = (text: string) => new Set(lines(text).map((line) => line.replace(/[{ ].*/, '')));
    const all = names(await own.text(facts));
    expect(metrics.filter(({ name }) => !all.has(name)).map(({ name }) => name)).toEqual([]);
    const series = lines(await own.text(facts)).map((line) => line.replace(/ \S+$/, ''));
    expect(new Set(series).size).toBe(series.length);
    const early = names(await own.text(undefined));
    expect(metrics.filter(({ name }) => early.has(name)).map(({ name }) => name)).toEqual([]);
    expect(early).toContain('process_resident_memory_bytes');
  });

  it('forget what is no more, and do not add up what was told before', async () => {
    const own = fresh();
    await own.text(facts);
    const again = await own.text({ ...facts, xds: undefined, maps: [{ name: 'cidr', used: 1, size: 2 }] });
    expect(again).not.toMatch(/^(kmesh|istio)_xds\w*[{ ]/m);
    expect(again).not.toContain('map="frontend"');
    expect(await own.text({ ...facts, demand: undefined })).not.toMatch(/^kmesh_demand/m);
    expect(await own.text({ ...facts, authz: undefined })).not.toMatch(/^kmesh_authz/m);
    expect(sampleOf(again, 'kmesh_heal_comparisons_total')).toBe(5);
  });

  it('say how long changes took and what they came to', async () => {
    const own = fresh();
    own.applied({ milliseconds: 1.5, operations: 0 });
    own.applied({ milliseconds: 3000, operations: 20 });
    const text = await own.text(undefined);
    expect(sampleOf(text, 'kmesh_apply_duration_seconds_bucket{le="0.002"}')).toBe(1);
    expect(sampleOf(text, 'kmesh_apply_duration_seconds_sum')).toBeCloseTo(3.0015);
    expect(sampleOf(text, 'kmesh_apply_operations_bucket{le="0"}')).toBe(1);
    expect(sampleOf(text, 'kmesh_apply_operations_count')).toBe(2);
  });
});

const allowed = ['type', 'url', 'reason', 'source', 'kind', 'map', 'state', 'policy', 'verdict', 'fate'];

describe('the catalogue', () => {
  const all = [...metrics, ...processMetrics()];

  it('names things as Prometheus asks for', () => {
    for (const { name, type, labels, help } of all) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      expect(help).toMatch(/\.$/);
      expect(labels.filter((label) => !allowed.includes(label))).toEqual([]);
    }
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it('is what the docs list', () => {
    const row = (name: string, type: string, labels: readonly string[], help: string) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`;
    const rows = [
      ...metrics.map(({ name, type, labels, help }) => row(name, type, labels, help)),
      ...[times, ...Object.values(distributions)].map(({ name, help }) => row(name, 'histogram', [], help)),
      row('kmesh_build_info', 'gauge', ['version', 'abi'], 'Always 1; which kmeshctl this is.'),
      ...processMetrics().map(({ name, type, help }) => row(name, type, [], help)),
    ];
    const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
    expect(page.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows);
  });
});
