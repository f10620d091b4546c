// SPDX-License-Identifier: Apache-2.0
// Waypoints that nothing can go through: who is behind them, and that it is told once.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../src/agent/log.ts';
import {
  followingWaypoints,
  unusableWaypoints,
  watchWaypoints,
  waypointRemark,
} from '../../src/agent/waypoint-faults.ts';
import { type CompileIndex, compileTouched, emptyIndex, wantedOf } from '../../src/compile/compile.ts';
import type { GatewayAddress } from '../../src/mesh/gateway.ts';
import type { Model } from '../../src/mesh/model.ts';
import { model, service, view, workload } from '../mesh/make.ts';

const byHost: GatewayAddress = {
  ...{ destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' }, hboneMtlsPort: 15008 },
  gateway: 'infra/way',
};
const missing: GatewayAddress = {
  ...{ destination: { kind: 'unusable', reason: 'Gateway a/b is not there' }, hboneMtlsPort: 15008, gateway: 'a/b' },
};
const way = service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [] });
const inWay = { services: new Map([['infra/way.infra', []]]) };
const proxy = workload('p', { addresses: ['10.0.9.1'], ...inWay });
const compiled = (m: Model, before = emptyIndex) => compileTouched(before, m, view, 'everything').index;
const wantedNow = (index: CompileIndex) => ({ ...wantedOf(index), backends: index.backends });
const found = (m: Model) => unusableWaypoints({ model: m, view }, compiled(m));

test('those behind each, and what becomes of their connections', () => {
  const both = [service({ waypoint: byHost }), way];
  expect(found(model(both, [workload('w'), proxy]))).toEqual([]);
  expect(found(model(both, [workload('w')]))).toEqual([
    {
      ...{ waypoint: 'Gateway infra/way', reason: 'no endpoint of it can be used', instead: 'refuse' },
      ...{ services: ['shop/cart.shop'], workloads: [] },
    },
  ]);
  const pods = [
    workload('w1', { waypoint: missing, addresses: ['10.0.0.1'] }),
    workload('w2', { waypoint: missing, addresses: ['10.0.0.2', '2001:db8::2'] }),
    workload('w3', { waypoint: missing, waypointUnready: 'direct', addresses: ['10.0.0.3'] }),
    workload('w4', { waypoint: { ...missing, gateway: 'a/c' }, addresses: ['10.0.0.4'] }),
  ];
  const all = found(model([service({ waypoint: missing, waypointUnready: 'direct' }), way], pods));
  expect(all.map((one) => [one.waypoint, one.instead, one.services.length, one.workloads]).sort()).toEqual([
    ['Gateway a/b', 'direct', 1, ['w3']],
    ['Gateway a/b', 'refuse', 0, ['w1', 'w2']],
    ['Gateway a/c', 'refuse', 0, ['w4']],
  ]);
  const remarks = all.map((one) => waypointRemark(one).reason);
  expect(remarks).toContain(
    'Gateway a/b is not there: connections to 1 service and 1 workload (shop/cart.shop, w3) go past it',
  );
  expect(remarks).toContain('Gateway a/b is not there: connections to 2 workloads (w1, w2) are refused');
});

let text = '';
beforeEach(() => {
  vi.useFakeTimers();
  text = '';
});
afterEach(() => void vi.useRealTimers());

test('told once when it begins, and when it ends', () => {
  const without = model([service({ waypoint: byHost }), way], [workload('w')]);
  const whole = model([service({ waypoint: byHost }), way], [workload('w'), proxy]);
  let now = { model: without, wanted: wantedNow(compiled(without)) };
  const state = {
    get model() {
      return now.model;
    },
    view,
    wanted: () => now.wanted,
  };
  const to = {
    write(more: string) {
      text += more;
    },
  };
  const log = openLog(to, 'info', {});
  const watch = watchWaypoints(state, log, 10);
  const events = () => [...text.matchAll(/"event":"(\w+)"/g)].map(([, event]) => event);
  const look = (next: Model) => {
    now = { model: next, wanted: wantedNow(compiled(next)) };
    watch.look();
    vi.advanceTimersByTime(10);
  };
  look(without);
  look(without);
  expect(events()).toEqual(['waypoint_unusable']);
  expect(text).toContain('"waypoint":"Gateway infra/way"');
  expect(watch.unusable().length).toBe(1);
  look(whole);
  expect(events()).toEqual(['waypoint_unusable', 'waypoint_unusable_over']);
  expect(watch.unusable()).toEqual([]);
  watch.close();
});

test('who leads to a waypoint is followed from change to change', () => {
  const following = followingWaypoints();
  let index = emptyIndex;
  const look = (m: Model): string[] => {
    index = compiled(m, index);
    const state = { model: m, view };
    const now = unusableWaypoints(state, index, following(index.backends));
    // The same as from the beginning.
    expect(now).toEqual(unusableWaypoints(state, index));
    return now.flatMap(({ services, workloads }) => [...services, ...workloads]);
  };
  const other = { ...byHost, destination: { ...byHost.destination, hostname: 'other.infra' }, gateway: 'infra/other' };
  const cart = service({ waypoint: byHost });
  const direct = service({ name: 'shop', hostname: 'shop.shop', addresses: [{ network: '', address: '10.96.0.7' }] });
  const shop = service({ ...direct, waypoint: byHost });
  const pod = workload('w');
  expect(look(model([cart, way], [pod, proxy]))).toEqual([]);
  expect(look(model([cart, way], [pod]))).toEqual(['shop/cart.shop']);
  expect(look(model([cart, way, shop], [pod]))).toEqual(['shop/cart.shop', 'shop/shop.shop']);
  expect(look(model([cart, way, direct], [pod]))).toEqual(['shop/cart.shop']);
  expect(look(model([service({ waypoint: other as GatewayAddress }), way], [pod, proxy]))).toEqual(['shop/cart.shop']);
  expect(look(model([cart, way], [pod, proxy]))).toEqual([]);
  expect(look(model([way], [pod]))).toEqual([]);
});
