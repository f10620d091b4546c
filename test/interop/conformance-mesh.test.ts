// SPDX-License-Identifier: Apache-2.0
// The mesh tests of the Gateway API's conformance suite: a request in, backend and headers out, through the kernel and a real Envoy.
import { mesh } from '../support/conformance/mesh.ts';
import { meshFilters } from '../support/conformance/mesh-filters.ts';
import { tableContract } from '../support/conformance/run.ts';

tableContract('Gateway API, mesh', [...mesh, ...meshFilters]);
