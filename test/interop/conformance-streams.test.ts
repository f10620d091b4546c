// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about the other kinds of routes, with a Service as parent, through the kernel and a real Envoy
// that asks for the state of the world.
import { tableContract } from '../support/conformance/run.ts';
import { streams } from '../support/conformance/streams.ts';

tableContract('Gateway API, GRPCRoute, TLSRoute and TCPRoute', streams, { api: 'GRPC' });
