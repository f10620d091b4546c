// SPDX-License-Identifier: Apache-2.0
// A control plane for benchmarks: encodes before it is asked, and notes when bytes left and when their ACK came.
import type { Change } from '../src/mesh/model.ts';
import { type Service, serviceKey } from '../src/mesh/service.ts';
import type { Workload } from '../src/mesh/workload.ts';
import { typeUrls } from '../src/source/xds/types.ts';
import { type AdsStream, openAdsServer, prefixOf } from '../test/support/ads-server.ts';
import { type AdsResource, addressBytes, encodeResponse, resourceOf } from '../test/support/xds-messages.ts';

export function serviceOf(s: Service): AdsResource {
  const service = {
    ...{ name: s.name, namespace: s.namespace, hostname: s.hostname, canonical: true },
    addresses: s.addresses.map(({ network, address }) => ({ network, address: addressBytes(address) })),
    ports: s.ports.map(({ port, targetPort }) => ({ servicePort: port, targetPort, appProtocol: 1 })),
    ipFamilies: 1,
  };
  return resourceOf('address', serviceKey(s), { service }, [`/${s.addresses[0]?.address}`]);
}

export function workloadOf(w: Workload): AdsResource {
  const workload = {
    ...{ uid: w.uid, name: w.name, namespace: w.namespace, addresses: w.addresses.map(addressBytes) },
    ...{ trustDomain: w.trustDomain, serviceAccount: w.serviceAccount, node: w.node, clusterId: w.clusterId },
    ...{ canonicalName: w.canonicalName, canonicalRevision: w.canonicalRevision },
    ...{ workloadName: w.workloadName, tunnelProtocol: 1, locality: w.locality },
    services: Object.fromEntries(
      [...w.services.keys()].map((key) => [key, { ports: [{ servicePort: 80, targetPort: 8080 }] }]),
    ),
  };
  return resourceOf(
    'address',
    w.uid,
    { workload },
    w.addresses.map((address) => `/${address}`),
  );
}

export function resourcesOf(changes: Iterable<Change>): AdsResource[] {
  const out: AdsResource[] = [];
  for (const change of changes) {
    if (change.kind === 'put-service') out.push(serviceOf(change.service));
    else if (change.kind === 'put-workload') out.push(workloadOf(change.workload));
  }
  return out;
}

/** A push that is encoded and not sent. */
export interface Push {
  /** Bytes of the stream up to its end, once it is sent. */
  readonly end: number;
  /** Milliseconds from the write to the ACK read. Fails on a NACK. */
  send(): Promise<number>;
}

export interface MeshServer {
  readonly port: number;
  push(resources: readonly AdsResource[], removed?: readonly string[]): Push;
  /** When the answer to the request for addresses began, in milliseconds since the epoch. */
  readonly askedAt: number;
  close(): Promise<void>;
}

/** Serves `first` to whoever asks, and no policies. `onAsked`: done once, before the first answer. */
export async function openMeshServer(
  first: readonly AdsResource[],
  onAsked?: () => Promise<unknown>,
): Promise<MeshServer> {
  let nonces = 0;
  let askedAt = 0;
  let asked: Promise<unknown> | undefined;
  let stream: AdsStream | undefined;
  /** Bytes of the stream so far. */
  let written = 0;
  const write = (bytes: Uint8Array) => {
    written += prefixOf(bytes).length + bytes.length;
    stream?.sendBytes(bytes);
  };
  const waiting = new Map<string, (fault: string | undefined) => void>();
  const encoded = (
    type: keyof typeof typeUrls,
    resources: readonly AdsResource[],
    removedResources: readonly string[],
  ) => {
    const nonce = `n${++nonces}`;
    return {
      nonce,
      bytes: encodeResponse({ typeUrl: typeUrls[type], nonce, systemVersionInfo: nonce, resources, removedResources }),
    };
  };
  const whole = encoded('address', first, []);
  const server = await openAdsServer({
    onRequest(from, request) {
      const address = request.typeUrl === typeUrls.address;
      if (request.responseNonce !== '') {
        waiting.get(request.responseNonce)?.(request.errorDetail?.message);
        waiting.delete(request.responseNonce);
        return;
      }
      if (stream !== from) written = 0;
      stream = from;
      const answer = () => {
        if (address) askedAt = Date.now();
        write(address ? whole.bytes : encoded('authorization', [], []).bytes);
      };
      asked ??= onAsked?.();
      if (asked) void asked.then(answer);
      else answer();
    },
  });
  return {
    port: server.port,
    get askedAt() {
      return askedAt;
    },
    push(resources, removed = []) {
      const { nonce, bytes } = encoded('address', resources, removed);
      let end = 0;
      return {
        get end() {
          return end;
        },
        send: () =>
          new Promise((resolve, reject) => {
            const began = performance.now();
            waiting.set(nonce, (fault) =>
              fault === undefined ? resolve(performance.now() - began) : reject(new Error(fault)),
            );
            write(bytes);
            end = written;
          }),
      };
    },
    close: () => server.close(),
  };
}
