// SPDX-License-Identifier: Apache-2.0
// Services behind a stock nginx: what holds for every proxy (test/support/proxies/behaviours.ts).
import { behaviours } from '../support/proxies/behaviours.ts';
import { nginx } from '../support/proxies/nginx.ts';

behaviours(nginx);
