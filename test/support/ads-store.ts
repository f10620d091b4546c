// SPDX-License-Identifier: Apache-2.0
// A control plane that behaves as istiod does: a store of resources, told as deltas, all of them or on demand.
import { type TypeName, typeUrls } from '../../src/source/xds/types.ts';
import { type AdsServer, type AdsServerOptions, type AdsStream, openAdsServer } from './ads-server.ts';
import type { AdsRequest, AdsResource } from './xds-messages.ts';

export interface AdsStore {
  readonly server: AdsServer;
  readonly port: number;
  /** Names held, by type. */
  readonly resources: Readonly<Record<TypeName, ReadonlyMap<string, AdsResource>>>;
  /** In one push. */
  change(change: { readonly put?: readonly AdsResource[]; readonly remove?: readonly string[] }): void;
  /** ACKs and NACKs that named the latest nonce. */
  readonly answers: readonly { readonly type: TypeName; readonly nack: string | undefined }[];
  /** Requests that broke a rule of istiod's: it logs them as errors. */
  readonly offences: readonly string[];
  close(): Promise<void>;
}

interface Watch {
  nonce: string;
  readonly wildcard: boolean;
  readonly names: Set<string>;
}

const types: readonly TypeName[] = ['address', 'authorization'];

export async function openAdsStore(options: AdsServerOptions & { readonly mute?: TypeName } = {}): Promise<AdsStore> {
  const resources = { address: new Map<string, AdsResource>(), authorization: new Map<string, AdsResource>() };
  const watches = new Map<AdsStream, Map<TypeName, Watch>>();
  const answers: { type: TypeName; nack: string | undefined }[] = [];
  const offences: string[] = [];
  let nonces = 0;

  const say = (stream: AdsStream, type: TypeName, found: readonly AdsResource[], removed: Iterable<string>) => {
    const watch = watches.get(stream)?.get(type);
    if (!watch || options.mute === type) return;
    watch.nonce = `nonce-${++nonces}`;
    stream.send({
      typeUrl: typeUrls[type],
      nonce: watch.nonce,
      systemVersionInfo: `v${nonces}`,
      resources: found,
      removedResources: [...removed],
    });
  };

  const lookUp = (name: string): AdsResource[] => {
    const own = resources.address.get(name);
    return own ? [own] : [...resources.address.values()].filter(({ aliases }) => aliases?.includes(name));
  };

  /** What a request for these names is answered with. */
  const demand = (
    stream: AdsStream,
    watch: Watch,
    names: Iterable<string>,
    kept: AdsRequest['initialResourceVersions'],
  ) => {
    const found = new Map<string, AdsResource>();
    const removed = new Set<string>();
    for (const name of names) {
      const matches = lookUp(name);
      if (matches.length === 0) removed.add(name);
      for (const match of matches) found.set(match.name, match);
    }
    for (const name of found.keys()) watch.names.add(name);
    const fresh = [...found.values()].filter(({ name, version }) => version === '' || kept[name] !== version);
    say(stream, 'address', fresh, removed);
  };

  const first = (stream: AdsStream, type: TypeName, request: AdsRequest) => {
    const { resourceNamesSubscribe: subscribe, initialResourceVersions: kept } = request;
    const names = new Set([...subscribe, ...Object.keys(kept)]);
    for (const name of request.resourceNamesUnsubscribe) names.delete(name);
    const wildcard = subscribe.length === 0 || names.delete('*');
    const watch = { nonce: '', wildcard, names: wildcard ? new Set<string>() : names };
    watches.get(stream)?.set(type, watch);
    if (!wildcard) return demand(stream, watch, new Set(names), kept);
    const all = [...resources[type].values()];
    const fresh = all.filter(({ name, version }) => version === '' || kept[name] !== version);
    return say(
      stream,
      type,
      fresh,
      Object.keys(kept).filter((name) => !resources[type].has(name)),
    );
  };

  const onRequest = (stream: AdsStream, request: AdsRequest) => {
    options.onRequest?.(stream, request);
    const type = types.find((t) => typeUrls[t] === request.typeUrl);
    if (!type) return void offences.push(`unknown type ${request.typeUrl}`);
    const mine = watches.get(stream) ?? new Map<TypeName, Watch>();
    watches.set(stream, mine);
    const watch = mine.get(type);
    if (!watch) {
      if (mine.size === 0 && request.node === undefined) offences.push('no node in the first request');
      return first(stream, type, request);
    }
    const nonce = request.responseNonce;
    if (request.errorDetail) return void answers.push({ type, nack: request.errorDetail.message });
    if (nonce !== '' && nonce !== watch.nonce) return;
    const before = new Set(watch.names);
    for (const name of request.resourceNamesSubscribe) watch.names.add(name);
    for (const name of request.resourceNamesUnsubscribe) watch.names.delete(name);
    const changed =
      request.resourceNamesSubscribe.some((name) => !before.has(name)) ||
      request.resourceNamesUnsubscribe.some(
        (name) => before.has(name) || request.resourceNamesSubscribe.includes(name),
      );
    if ((nonce === '') !== changed) offences.push(`subscription check: ${JSON.stringify(request)}`);
    if (nonce !== '') answers.push({ type, nack: undefined });
    else if (changed) demand(stream, watch, request.resourceNamesSubscribe, {});
  };

  const server = await openAdsServer({ ...options, onRequest });
  return {
    server,
    port: server.port,
    resources,
    answers,
    offences,
    change({ put = [], remove = [] }) {
      const touched = { address: new Set<string>(), authorization: new Set<string>() };
      for (const resource of put) {
        const type = types.find((t) => typeUrls[t] === resource.resource.type_url) ?? 'address';
        resources[type].set(resource.name, resource);
        touched[type].add(resource.name);
      }
      for (const name of remove) {
        for (const type of types) if (resources[type].delete(name)) touched[type].add(name);
      }
      for (const [stream, mine] of watches) {
        if (stream.closed) watches.delete(stream);
        for (const [type, watch] of mine) {
          const names = [...touched[type]].filter((name) => watch.wildcard || watch.names.has(name));
          if (names.length === 0) continue;
          const found = names.flatMap((name) => resources[type].get(name) ?? []);
          say(
            stream,
            type,
            found,
            names.filter((name) => !resources[type].has(name)),
          );
        }
      }
    },
    close: () => server.close(),
  };
}
