// SPDX-License-Identifier: Apache-2.0
// Tests of the conformance suite that are about ReferenceGrants, where they are asked for, through the kernel and a real Envoy.
import { grants } from '../support/conformance/grants.ts';
import { tableContract } from '../support/conformance/run.ts';

tableContract('Gateway API, ReferenceGrant', grants, { serve: ['--require-grants'] });
