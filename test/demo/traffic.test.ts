// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import type { Tally } from '../../src/demo/protocol.ts';
import { before, shopCalls } from '../../src/demo/shop.ts';
import { type Client, callAll, judgeCall, refuseFaults } from '../../src/demo/traffic.ts';

const cart = shopCalls(before)[0]!;
const cart6 = shopCalls(before)[1]!;

const tally = (answers: Record<string, number>, errors: Record<string, number> = {}): Tally => ({
  target: cart.target,
  calls: 400,
  answers,
  errors,
  last: {},
  median: 300,
  p99: 900,
});

test.each([
  ['as the weights say', tally({ 'cart-1': 300, 'cart-2': 100 }), []],
  ['a lost call', tally({ 'cart-1': 300, 'cart-2': 99 }, { ECONNRESET: 1 }), ['1 calls lost (ECONNRESET)']],
  [
    'a wrong backend',
    tally({ 'cart-1': 300, 'cart-2': 99, 'catalog-1': 1 }),
    ['"catalog-1" answered, but does not belong to the service'],
  ],
  [
    'shares off',
    tally({ 'cart-1': 200, 'cart-2': 200 }),
    [
      '"cart-1" got 50.0 % of 400 calls instead of 75.0 %: 11.5 sigma off',
      '"cart-2" got 50.0 % of 400 calls instead of 25.0 %: 11.5 sigma off',
    ],
  ],
])('%s', (_what, seen, faults) => {
  expect(judgeCall(cart, seen).faults).toEqual(faults);
});

test('where any share will do, only who answers counts', () => {
  const any = { ...cart, anyShare: true as const };
  expect(judgeCall(any, tally({ 'cart-1': 200, 'cart-2': 200 })).faults).toEqual([]);
  expect(judgeCall(any, tally({ 'cart-1': 399, 'catalog-1': 1 })).faults).toHaveLength(1);
});

test('a pod that gets no calls may not answer one', () => {
  const call = { ...cart, weights: { 'cart-1': 1, 'cart-2': 0 } };
  expect(judgeCall(call, tally({ 'cart-1': 399, 'cart-2': 1 })).faults).toEqual([
    '"cart-2" answered 1 times, but gets no calls',
  ]);
});

test('faults are refused by name, with the address as it is dialled', () => {
  const bad = judgeCall(cart6, tally({}, { timeout: 400 }));
  expect(() => refuseFaults([judgeCall(cart, tally({ 'cart-1': 300, 'cart-2': 100 })), bad])).toThrow(
    expect.objectContaining({ code: 'KM_DEMO', message: 'cart at [fd96::10]:80: 400 calls lost (timeout)' }),
  );
});

const clientOf = (tallies: Tally[], asked: number[] = []): Client => ({
  async order(order) {
    if (order.kind === 'calls') asked.push(order.calls);
    return [tallies.shift() as Tally];
  },
  async stop() {},
});

test('a share that is off is measured once more with four times the calls', async () => {
  const asked: number[] = [];
  const off = tally({ 'cart-1': 200, 'cart-2': 200 });
  const right = tally({ 'cart-1': 300, 'cart-2': 100 });
  expect((await callAll(clientOf([off, right], asked), [cart], 400))[0]?.faults).toEqual([]);
  expect(asked).toEqual([400, 1600]);
});

test('a loss is not measured again', async () => {
  const asked: number[] = [];
  const lost = tally({ 'cart-1': 200, 'cart-2': 199 }, { ECONNREFUSED: 1 });
  expect((await callAll(clientOf([lost], asked), [cart], 400))[0]?.faults[0]).toBe('1 calls lost (ECONNREFUSED)');
  expect(asked).toEqual([400]);
});
