// SPDX-License-Identifier: Apache-2.0
import { mapNames } from '../../map-names.ts';
import { text, texts, toggle, whole } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewMaps } from '../../view/maps.ts';

export const dumpMaps = command({
  path: ['dump', 'maps'],
  group: 'Looking inside',
  summary: 'print what the pinned maps hold, decoded by their own type information',
  description:
    'Every map, or those named. Ids are shown with the names they stand for. Large maps are printed as they are read.',
  examples: [
    { line: 'kmeshctl dump maps', note: 'everything' },
    { line: 'kmeshctl dump maps frontend backend --filter 10.96.0.10', note: 'entries that mention an address' },
    { line: 'kmeshctl dump maps endpoint --raw --limit 10', note: 'bytes as they are' },
  ],
  args: { names: texts('MAP', 'only these maps', { suggestions: mapNames }) },
  flags: {
    raw: toggle('keys and values as bytes in hex'),
    filter: text('TEXT', 'only entries that contain it'),
    limit: whole('N', 'at most so many entries of each map', { min: 1, max: 1e9 }),
  },
  needsRoot: true,
  run: async (ctx, input) =>
    (await import('../../../tasks/dump-maps.ts')).dumpMaps(ctx.env, { place: ctx.place, ...input }),
  view: viewMaps,
});
