// SPDX-License-Identifier: Apache-2.0
// Services behind a stock nginx: what holds for every proxy (test/support/proxies/contract.ts).
import { proxyContract } from '../support/proxies/contract.ts';
import { nginx } from '../support/proxies/nginx.ts';

proxyContract(nginx);
