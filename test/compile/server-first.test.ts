// SPDX-License-Identifier: Apache-2.0
// Workloads behind a waypoint: at which ports of their own addresses the server speaks first, and what is in the kernel then.
import { describe, expect, it } from 'vitest';
import { compileAll, compileTouched, emptyIndex } from '../../src/compile/compile.ts';
import { openMemory } from '../../src/kernel/memory.ts';
import { apply } from '../../src/mesh/apply.ts';
import { defaultWaypointSettings, type GatewayAddress, type WaypointSettings } from '../../src/mesh/gateway.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import type { Service, ServicePort } from '../../src/mesh/service.ts';
import { model, port, service, view, workload } from '../mesh/make.ts';
import { carryOut } from '../support/carry-out.ts';
import { imageOf, planAll } from '../support/plans.ts';

const byHost: GatewayAddress = {
  destination: { kind: 'hostname', namespace: 'infra', hostname: 'way.infra' },
  hboneMtlsPort: 15008,
};
const way = service({ name: 'way', namespace: 'infra', hostname: 'way.infra', addresses: [] });
const known = [21, 22, 23, 25, 110, 119, 143, 587, 3306];
const name = (said = '') => `workloads:waypoint:infra/way.infra${said}/4`;
const db = (ports: readonly ServicePort[], fields: Partial<Service> = {}) =>
  service({ hostname: 'db.shop', addresses: [], ports, ...fields });
const inDb = new Map([['shop/db.shop', []]]);
const at = (settings: Partial<WaypointSettings> = {}) => ({
  ...view,
  waypoints: { ...defaultWaypointSettings, ...settings },
});

/** The backend of the workload behind the waypoint. */
function of(made: Model, settings: Partial<WaypointSettings> = {}) {
  const { frontends, backends } = compileAll(made, at(settings));
  const backend = backends.get(frontends.get('tcp/10.0.0.1:0')?.backend as string);
  return { name: backend?.name, listed: backend?.via?.listed };
}

describe("ports of a workload's own addresses whose server speaks first", () => {
  const alone = workload('w', { waypoint: byHost });
  const member = workload('w', { waypoint: byHost, services: inDb });

  it('are those with a known number, and those that the node adds', () => {
    expect(of(model([way], [alone]))).toEqual({ name: name(), listed: { ports: known, otherwise: 'refuse' } });
    expect(of(model([way], [alone]), { serverFirstPorts: [5672, 22], serverFirst: 'direct' })).toEqual({
      name: name(),
      listed: { ports: [...known, 5672], otherwise: 'direct' },
    });
  });

  it.each([
    ['another port, by the number of the service', port(3306, { targetPort: 13306 }), '[+13306]'],
    ['another port, by appProtocol', port(80, { targetPort: 13306, appProtocol: 'mysql' }), '[+13306]'],
    ['another port, by name', port(80, { targetPort: 13306, name: 'smtp-in' }), '[+13306]'],
    ['another port, by the annotation', port(80, { targetPort: 13306, serverFirst: true }), '[+13306]'],
    ['not a known one, by appProtocol', port(80, { targetPort: 25, appProtocol: 'http' }), '[-25]'],
    ['not a known one, by the annotation', port(3306, { targetPort: 3306, serverFirst: false }), '[-3306]'],
    ['what is known anyway', port(3306, { targetPort: 3306, appProtocol: 'mysql' }), ''],
    ['nothing: only UDP is told of', port(80, { targetPort: 13306, protocol: 'udp', appProtocol: 'mysql' }), ''],
    ['nothing: a port by name that the workload does not have', port(80, { targetPort: 0, appProtocol: 'mysql' }), ''],
    ['nothing: another number that nobody knows', port(80, { targetPort: 3306 }), ''],
  ])('are what its services say: %s', (_, one, said) => {
    const found = of(model([way, db([one])], [member]));
    const ports = new Set(known);
    for (const [, sign, number] of said.matchAll(/([+-])(\d+)/g)) {
      if (sign === '+') ports.add(Number(number));
      else ports.delete(Number(number));
    }
    expect(found.name).toBe(name(said));
    expect(found.listed?.ports).toEqual([...ports].sort((a, b) => a - b));
  });

  it('are where the workload says that the port is', () => {
    const services = new Map([['shop/db.shop', [{ servicePort: 80, targetPort: 13307 }]]]);
    const made = model(
      [way, db([port(80, { targetPort: 0, appProtocol: 'mysql' })])],
      [workload('w', { waypoint: byHost, services })],
    );
    expect(of(made).name).toBe(name('[+13307]'));
  });

  it('count where one of several services says so', () => {
    const other = db([port(80, { targetPort: 13306, appProtocol: 'mysql' })], { hostname: 'other.shop' });
    const services = new Map([...inDb, ['shop/other.shop', []]]);
    const http = db([port(80, { targetPort: 13306, appProtocol: 'http' })]);
    const both = workload('w', { waypoint: byHost, services });
    expect(of(model([way, http, other], [both])).name).toBe(name('[+13306]'));
    expect(of(model([way, http], [both])).name).toBe(name());
  });

  it('follow their services, and nothing is compiled again where nothing is said', () => {
    let now = model([way, db([port(80)])], [member]);
    let { index } = compileTouched(emptyIndex, now, at(), 'everything');
    const step = (...changes: Change[]) => {
      const next = apply(now, changes);
      const compiled = compileTouched(index, next.model, at(), next.touched);
      now = next.model;
      index = compiled.index;
      return [...compiled.delta.frontends].map(([key, f]) => [key, f?.backend]);
    };
    const put = (...ports: ServicePort[]): Change => ({ kind: 'put-service', service: db(ports) });
    const mysql = port(80, { targetPort: 13306, appProtocol: 'mysql' });
    expect(step(put(mysql))).toEqual([['tcp/10.0.0.1:0', name('[+13306]')]]);
    expect([...index.backends.keys()]).toContain(name('[+13306]'));
    expect([...index.backends.keys()]).not.toContain(name());
    expect(step(put(mysql, port(81, { targetPort: 9000 })))).toEqual([]);
    expect(step({ kind: 'remove-service', key: 'shop/db.shop' })).toEqual([['tcp/10.0.0.1:0', name()]]);
    expect(step(put(mysql))).toEqual([['tcp/10.0.0.1:0', name('[+13306]')]]);
    expect(step({ kind: 'put-workload', workload: alone })).toEqual([['tcp/10.0.0.1:0', name()]]);
    expect(step(put(port(80)))).toEqual([]);
  });

  it('are in the kernel as they are wanted, found again after a restart, and written anew when they change', () => {
    const plane = openMemory();
    const more = Array.from({ length: 60 }, (_, i) => 50_000 - i);
    const wanted = (serverFirstPorts: number[]) => compileAll(model([way], [alone]), at({ serverFirstPorts }));
    const image = imageOf(plane);
    carryOut(plane, image, planAll(image, wanted(more)));
    const held = imageOf(plane).backends.get(name());
    expect(held?.read?.listed).toEqual([...known, ...more].sort((a, b) => a - b));
    expect([...planAll(imageOf(plane), wanted(more)).ops]).toEqual([]);
    const fewer = imageOf(plane);
    carryOut(plane, fewer, planAll(fewer, wanted([7777])));
    expect(imageOf(plane).backends.get(name())?.read?.listed).toEqual([...known, 7777]);
  });
});
