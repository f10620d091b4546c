// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about HTTPRoutes of gateways, with a Service as parent, through the kernel and a real Envoy.
import { backendFilters } from '../support/conformance/backend-filters.ts';
import { cross } from '../support/conformance/cors.ts';
import { http } from '../support/conformance/http.ts';
import { httpFilters } from '../support/conformance/http-filters.ts';
import { httpTime } from '../support/conformance/http-time.ts';
import { tableContract } from '../support/conformance/run.ts';

tableContract('Gateway API, HTTPRoute', [...http, ...httpFilters, ...backendFilters, ...cross, ...httpTime]);
