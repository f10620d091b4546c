// SPDX-License-Identifier: Apache-2.0
// The gRPC service of the tests, for client and server: messages are bytes.
import type { ServiceDefinition } from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;
const bytes = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
} as const;

/** `say` answers once, `chat` answers each message; "fail" makes `say` fail. */
export const echoService = {
  say: { path: '/shop.Echo/Say', requestStream: false, responseStream: false, ...bytes },
  chat: { path: '/shop.Echo/Chat', requestStream: true, responseStream: true, ...bytes },
} as const satisfies ServiceDefinition;
