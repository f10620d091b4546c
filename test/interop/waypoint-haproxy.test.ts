// SPDX-License-Identifier: Apache-2.0
// Services behind a stock HAProxy: what holds for every proxy (test/support/proxies/contract.ts).
import { proxyContract } from '../support/proxies/contract.ts';
import { haproxy } from '../support/proxies/haproxy.ts';

proxyContract(haproxy);
