// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about time-outs, retries and protocols of backends, with a Service as parent.
import type { Behaviour, Row } from './table.ts';

const [v1, v3] = ['{name: v1, port: 80}', '{name: v3, port: 80}'];
/** Nobody waits for it: the time-outs end long before, and a slow machine has time. */
const tooLong = { 'x-delay': '30000' };
/** The backend fails like that so many times, then answers. */
const failing = (how: string, until: number) => ({ 'x-fail': how, 'x-until': String(until) });

export const httpTime: readonly Behaviour[] = [
  {
    test: 'HTTPRouteTimeoutRequest',
    says: 'a request that takes longer is answered with 504; 0s is no limit',
    routes: `rules:
      - {matches: [{path: {value: /long}}], timeouts: {request: 30s}, backendRefs: [${v1}]}
      - {matches: [{path: {value: /short}}], timeouts: {request: 500ms}, backendRefs: [${v1}]}
      - {matches: [{path: {value: /none}}], timeouts: {request: 0s}, backendRefs: [${v1}]}`,
    rows: [
      { ask: '/long', gets: 'v1' },
      { ask: '/short', with: tooLong, gets: 504 },
      { ask: '/none', with: { 'x-delay': '700' }, gets: 'v1' },
    ],
  },
  {
    test: 'HTTPRouteTimeoutBackendRequest',
    says: 'the same for what a backend takes',
    routes: `rules:
      - {matches: [{path: {value: /long}}], timeouts: {backendRequest: 30s}, backendRefs: [${v1}]}
      - {matches: [{path: {value: /short}}], timeouts: {backendRequest: 500ms}, backendRefs: [${v1}]}
      - {matches: [{path: {value: /within}}], timeouts: {request: 30s, backendRequest: 500ms}, backendRefs: [${v1}]}
      - {matches: [{path: {value: /none}}], timeouts: {backendRequest: 0s}, backendRefs: [${v1}]}`,
    rows: [
      { ask: '/long', gets: 'v1' },
      { ask: '/short', with: tooLong, gets: 504 },
      { ask: '/within', with: tooLong, gets: 504 },
      { ask: '/none', with: { 'x-delay': '700' }, gets: 'v1' },
    ],
  },
  {
    test: 'HTTPRouteRetry',
    says: 'answers with the codes that are named are asked for again, so many times and no more',
    routes: `rules:
      - {matches: [{path: {value: /only-500}}], retry: {codes: [500], attempts: 3, backoff: 1ms}, backendRefs: [${v3}]}
      - {matches: [{path: {value: /all}}], retry: {codes: [500, 502, 503, 504], attempts: 2}, backendRefs: [${v3}]}`,
    rows: [
      { ask: '/only-500', with: failing('500', 2), gets: { status: 200, tries: 3 } },
      { ask: '/only-500', with: failing('500', 4), gets: { status: 500, tries: 4 } },
      { ask: '/only-500', with: failing('503', 2), gets: { status: 503, tries: 1 } },
      ...['500', '502', '503', '504'].flatMap((code): Row[] => [
        { ask: '/all', with: failing(code, 1), gets: { status: 200, tries: 2 } },
        { ask: '/all', with: failing(code, 3), gets: { status: Number(code), tries: 3 } },
      ]),
    ],
  },
  {
    test: 'HTTPRouteRetryConnectionError',
    says: 'connections that are reset are tried again, also without any code',
    routes: `rules: [{retry: {attempts: 3}, backendRefs: [${v3}]}]`,
    rows: [
      { ask: '/', with: failing('reset', 2), gets: { status: 200, tries: 3 } },
      { ask: '/', with: failing('reset', 4), gets: { status: 503, tries: 4 } },
    ],
  },
  {
    test: 'HTTPRouteRetryWithTimeouts',
    says: 'a try that takes too long is one that failed; all of them within the time of the request',
    routes: `rules:
      - {matches: [{path: {value: /backend}}], retry: {attempts: 2}, timeouts: {backendRequest: 2s}, backendRefs: [${v3}]}
      - {matches: [{path: {value: /request}}], retry: {codes: [500], attempts: 5}, timeouts: {request: 30s, backendRequest: 30s}, backendRefs: [${v3}]}
      - {matches: [{path: {value: /late}}], retry: {codes: [500], attempts: 5}, timeouts: {request: 600ms, backendRequest: 500ms}, backendRefs: [${v3}]}`,
    rows: [
      { ask: '/backend', with: { ...failing('500', 2), ...tooLong }, gets: { status: 200, tries: 3 } },
      { ask: '/backend', with: { ...failing('500', 3), ...tooLong }, gets: { status: 504, tries: 3 } },
      { ask: '/request', with: failing('500', 1), gets: { status: 200, tries: 2 } },
      { ask: '/late', with: { ...failing('500', 5), ...tooLong }, gets: 504 },
    ],
  },
  {
    test: 'HTTPRouteBackendProtocolH2C',
    says: 'a backend that speaks HTTP/2 without TLS (appProtocol kubernetes.io/h2c) is spoken to so, whatever the client speaks',
    speaks: 'kubernetes.io/h2c',
    rows: [
      { ask: '/', gets: { status: 200, protocol: 'HTTP/2' } },
      { ask: '/', as: 'h2', gets: { status: 200, protocol: 'HTTP/2' } },
    ],
  },
  {
    test: 'HTTPRouteBackendProtocolWebSocket',
    says: 'WebSockets are opened through routes (appProtocol kubernetes.io/ws), and without any',
    speaks: 'kubernetes.io/ws',
    routes: `rules: [{backendRefs: [${v1}]}]`,
    rows: [
      { ask: '/', as: 'websocket', gets: { status: 101, body: 'over', headers: { 'x-pod': 'v1' } } },
      { ask: '/', as: 'websocket', to: { service: 'v3' }, gets: { status: 101, headers: { 'x-pod': 'v3' } } },
    ],
  },
];
