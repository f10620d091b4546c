// SPDX-License-Identifier: Apache-2.0
// Services behind a stock HAProxy: what holds for every proxy (test/support/proxies/behaviours.ts).
import { behaviours } from '../support/proxies/behaviours.ts';
import { haproxy } from '../support/proxies/haproxy.ts';

behaviours(haproxy);
