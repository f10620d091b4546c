// SPDX-License-Identifier: Apache-2.0
// Services behind a stock Envoy: what holds for every proxy (test/support/proxies/behaviours.ts).
import { behaviours } from '../support/proxies/behaviours.ts';
import { envoy } from '../support/proxies/envoy.ts';

behaviours(envoy);
