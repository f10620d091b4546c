// SPDX-License-Identifier: Apache-2.0
// Waypoints of a cluster: objects as YAML, what became of a change, lists and conditions.
import type { ApplyResult } from '../../tasks/waypoint/apply.ts';
import type { DeleteResult, Deletion } from '../../tasks/waypoint/delete.ts';
import type { Listed, ListResult } from '../../tasks/waypoint/list.ts';
import type { Block, Cell, Tone } from '../spec.ts';

export async function* viewObject(object: unknown): AsyncGenerator<Block> {
  const { yamlPieces } = await import('../yaml.ts');
  for await (const text of yamlPieces(object)) yield { kind: 'raw', text };
}

const warning = (text: string): Block => ({ kind: 'line', text: `warning: ${text}`, tone: 'warn' });

export function* viewApplied({
  dryRun,
  namespace,
  name,
  waypoint,
  ready,
  enrolled,
  warnings,
}: ApplyResult): Generator<Block> {
  const would = dryRun ? ' (dry run: nothing was stored)' : '';
  yield { kind: 'line', text: `waypoint ${namespace}/${name} applied: ${waypoint}${would}`, tone: 'good' };
  if (ready) yield { kind: 'line', text: `waypoint ${namespace}/${name} is programmed`, tone: 'good' };
  if (enrolled === 'now') {
    yield {
      kind: 'line',
      text: `namespace ${namespace} labeled with "istio.io/use-waypoint: ${name}"${would}`,
      tone: 'good',
    };
  }
  if (enrolled === 'before') yield { kind: 'line', text: `namespace ${namespace} uses it already` };
  for (const text of warnings) yield warning(text);
}

function deletionLine({ namespace, name, state, reason }: Deletion, dryRun: boolean): Block {
  const what = state === 'deleted' && dryRun ? 'would be deleted' : state;
  const why = reason === undefined ? '' : `: ${reason}`;
  return {
    kind: 'line',
    text: `waypoint ${namespace}/${name} ${what}${why}`,
    tone: state === 'deleted' ? 'good' : 'bad',
  };
}

export function* viewDeleted({ dryRun, waypoints }: DeleteResult): Generator<Block> {
  if (waypoints.length === 0) yield { kind: 'line', text: 'No waypoints found.' };
  for (const deletion of waypoints) {
    yield deletionLine(deletion, dryRun);
    if (deletion.state === 'failed' || deletion.usedBy.length === 0) continue;
    yield warning(`still labelled to use it: ${deletion.usedBy.join(', ')}`);
  }
}

const tones: Readonly<Record<Listed['programmed'], Tone>> = { yes: 'good', no: 'bad', unknown: 'warn' };
const words: Readonly<Record<Listed['programmed'], string>> = { yes: 'True', no: 'False', unknown: 'Unknown' };

/** The namespace is a column where it tells something. */
const named = ({ namespace, name }: Listed, all: boolean): Cell[] => (all ? [namespace, name] : [name]);
const heads = (all: boolean): string[] => (all ? ['NAMESPACE', 'NAME'] : ['NAME']);

export function* viewWaypoints({ allNamespaces: all, waypoints }: ListResult): Generator<Block> {
  yield {
    kind: 'table',
    head: [...heads(all), 'REVISION', 'TRAFFIC TYPE', 'PROGRAMMED', 'CLASS', 'ADDRESSES'],
    rows: waypoints.map((one) => [
      ...named(one, all),
      one.revision,
      one.trafficType,
      { text: words[one.programmed], tone: tones[one.programmed] },
      one.class,
      one.addresses.length === 0 ? undefined : one.addresses.join(' '),
    ]),
    none: 'No waypoints found.',
  };
}
