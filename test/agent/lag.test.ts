// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { lagWindow } from '../../src/agent/lag.ts';

test('what was long ago is forgotten', () => {
  const delays = {
    count: 0,
    mean: Number.NaN,
    max: 0,
    reset: () => Object.assign(delays, { count: 0, mean: Number.NaN, max: 0 }),
  };
  const window = lagWindow(delays);
  expect(window.read()).toEqual({ mean: 0, max: 0 });
  Object.assign(delays, { count: 4, mean: 510e6, max: 540e6 });
  expect(window.read()).toEqual({ mean: 10, max: 40 });
  window.turn();
  expect(window.read()).toEqual({ mean: 10, max: 40 });
  Object.assign(delays, { count: 4, mean: 500e6, max: 500e6 });
  expect(window.read()).toEqual({ mean: 5, max: 40 });
  window.turn();
  expect(window.read()).toEqual({ mean: 0, max: 0 });
});
