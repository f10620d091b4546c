// SPDX-License-Identifier: Apache-2.0
// A stream without a network: "a1" is resource a of version 1; answers as "clusters a1 -b".
import type { Request, Resource, Response, Way } from '../../src/waypoint/messages.ts';
import { openQuality, type Quality } from '../../src/waypoint/quality.ts';
import { openSession } from '../../src/waypoint/session.ts';
import { emptySnapshot, type Snapshot } from '../../src/waypoint/snapshot.ts';
import { type TypeName, typeNames, typeUrls } from '../../src/waypoint/types.ts';

export type Parts = Partial<Record<TypeName, string>>;

function table(text: string): Map<string, Resource> {
  const words = text.split(' ').filter((word) => word !== '');
  return new Map(
    words.map((word) => [word[0] as string, { name: word[0] as string, version: word, bytes: Buffer.from(word) }]),
  );
}
export const snapshotOf = (parts: Parts): Snapshot => ({
  ...emptySnapshot,
  ...Object.fromEntries(Object.entries(parts).map(([type, text]) => [type, table(text)])),
});

export const textOf = ({ type, resources, removed }: Response): string =>
  [type, ...resources.map(({ version }) => version), ...removed.map((name) => `-${name}`)].join(' ');

export const heldOf = (text: string): ReadonlyMap<string, string> =>
  new Map(text.split(' ').map((version) => [version[0] as string, version]));

/** `ready`: sorts that are made. */
export function openProxy(
  way: Way,
  first: Parts | Snapshot,
  quality: Quality = openQuality(),
  ready: readonly TypeName[] = typeNames,
) {
  const sent: Response[] = [];
  const session = openSession({ way, quality, send: (response) => void sent.push(response) });
  const isParts = Object.values(first).every((part) => typeof part === 'string');
  session.update(isParts ? snapshotOf(first as Parts) : (first as Snapshot), new Set(ready));
  const since = (from: number) => sent.slice(from).map(textOf);
  const take = (type: TypeName | string, more: Partial<Request> = {}) => {
    const node = { id: 'x', cluster: 'a/b', metadata: {}, locality: { region: '', zone: '', subzone: '' } };
    const typeUrl = type in typeUrls ? typeUrls[type as TypeName] : type;
    const base: Request = {
      ...{ node, hasNode: false, typeUrl, names: [], unsubscribe: [], held: new Map() },
      ...{ nonce: '', error: undefined },
    };
    const from = sent.length;
    session.take({ ...base, ...more });
    return since(from);
  };
  return {
    sent,
    session,
    quality,
    take,
    /** Answers the last response of a type. */
    answer(type: TypeName, error?: string, names: string[] = []) {
      const nonce = sent.filter((r) => r.type === type).at(-1)?.nonce ?? '';
      return take(type, { nonce, error, names: way === 'world' ? names : [] });
    },
    update(parts: Parts, ready: readonly TypeName[] = typeNames) {
      const from = sent.length;
      session.update(snapshotOf(parts), new Set(ready));
      return since(from);
    },
    refused: () => session.refused().map(({ version, reason, stands }) => `${version} ${reason} (${stands})`),
  };
}
