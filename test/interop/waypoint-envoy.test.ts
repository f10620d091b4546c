// SPDX-License-Identifier: Apache-2.0
// Services behind a stock Envoy: what holds for every proxy (test/support/proxies/contract.ts).
import { proxyContract } from '../support/proxies/contract.ts';
import { envoy } from '../support/proxies/envoy.ts';

proxyContract(envoy);
