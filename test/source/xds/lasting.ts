// SPDX-License-Identifier: Apache-2.0
// Control planes, and sources that listen to them, for as long as the test that opens them.
import { onTestFinished } from 'vitest';
import { type AdsServer, type AdsServerOptions, openAdsServer } from '../../support/ads-server.ts';
import { type AdsStore, openAdsStore } from '../../support/ads-store.ts';
import { type Listening, openListening } from './listening.ts';

/** Closed when the test is over, however it ends, and before whatever was opened before it. */
function lasting<T extends { close(): Promise<void> }>(thing: T): T {
  onTestFinished(() => thing.close());
  return thing;
}

/** Says what it is told to say. */
export const serve = async (options: AdsServerOptions): Promise<AdsServer> => lasting(await openAdsServer(options));

/** Behaves as istiod does. */
export const serveStore = async (options?: Parameters<typeof openAdsStore>[0]): Promise<AdsStore> =>
  lasting(await openAdsStore(options));

export const listen = (options: Parameters<typeof openListening>[0]): Listening => lasting(openListening(options));
