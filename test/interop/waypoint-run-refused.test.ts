// SPDX-License-Identifier: Apache-2.0
// What `waypoint run` refuses, each by one error, with nothing left.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { envoyProgram, withEnvoy } from '../support/envoy.ts';
import { gatewayYaml, openRunNode, type RunNode } from '../support/waypoint-run.ts';

let mesh: RunNode;

withEnvoy('waypoint run refuses', () => {
  beforeAll(async () => {
    mesh = await openRunNode();
    mesh.node.write('none.yaml', gatewayYaml('NONE', 'bare'));
    mesh.node.write('nowhere.yaml', gatewayYaml('PROXY/15088', 'nowhere').replace(/ {2}addresses: .*\n/, ''));
    await mesh.until(async () => (await mesh.node.kmeshctl('dump', 'config')).out.includes('nowhere'));
  });
  afterAll(async () => {
    await mesh?.close();
  });

  const proxy = ['--proxy', envoyProgram];
  const cases: readonly (readonly [string, readonly string[], string, RegExp])[] = [
    [
      'a waypoint nobody knows',
      ['other', '-n', 'shop', ...proxy],
      'KM_NOT_FOUND',
      /no Gateway "shop\/other".*shop\/way/,
    ],
    ['another namespace', ['way', ...proxy], 'KM_NOT_FOUND', /no Gateway "default\/way"/],
    [
      'a binding without a header',
      ['bare', '-n', 'shop', ...proxy],
      'KM_CONFIG',
      /binding of waypoint shop\/bare is NONE/,
    ],
    ['a Gateway without address', ['nowhere', '-n', 'shop', ...proxy], 'KM_CONFIG', /shop\/nowhere does not say where/],
    [
      'an address of another network',
      ['way', '-n', 'shop', ...proxy],
      'KM_LISTEN',
      /no address of waypoint shop\/way \(10\.0\.0\.4\)/,
    ],
    [
      'an address nobody has',
      ['way', '-n', 'shop', '--listen', '10.0.0.99:15088', ...proxy],
      'KM_LISTEN',
      /cannot bind/,
    ],
    ['no program', ['way', '-n', 'shop', '--proxy', '/nowhere/envoy'], 'KM_PROXY', /"\/nowhere\/envoy" is no program/],
    ['another program', ['way', '-n', 'shop', '--proxy', process.execPath], 'KM_PROXY', /is no Envoy/],
    ['a name that is none', ['../way', '-n', 'shop', ...proxy], 'KM_USAGE', /is no name of a waypoint/],
    [
      'two control planes',
      ['way', '-n', 'shop', '--ads', ':1', '--config', 'x', ...proxy],
      'KM_USAGE',
      /exclude each other/,
    ],
    [
      'a control plane that does not answer',
      ['way', '-n', 'shop', '--ads', '127.0.0.1:1', '--listen', ':0', '--timeout', '2s', ...proxy],
      'KM_TIMEOUT',
      /127\.0\.0\.1:1: connect ECONNREFUSED/,
    ],
    [
      'arguments that are said already',
      ['way', '-n', 'shop', ...proxy, '--', '--config-path', 'x'],
      'KM_USAGE',
      /"--config-path" cannot be passed on/,
    ],
    [
      'arguments that Envoy refuses',
      ['way', '-n', 'shop', '--listen', ':0', ...proxy, '--', '--no-such-flag'],
      'KM_PROXY',
      /ended before it listened.*no-such-flag/,
    ],
    ['a word too many', ['way', 'extra', '-n', 'shop', ...proxy], 'KM_USAGE', /unexpected argument "extra"/],
    [
      'a word too many before those for Envoy',
      ['way', 'extra', '-n', 'shop', ...proxy, '--', '--component-log-level', 'rbac:debug'],
      'KM_USAGE',
      /unexpected argument "extra"/,
    ],
    [
      'a folder that is not there',
      ['way', '-n', 'shop', '--config', '/nowhere', ...proxy],
      'KM_CONFIG',
      /there is no configuration: \/nowhere: does not exist/,
    ],
    ['a user nobody knows', ['way', '-n', 'shop', '--user', 'no-such-user', ...proxy], 'KM_USAGE', /no-such-user/],
  ];
  test.each(cases)('%s', async (_, words, code, message) => {
    const run = mesh.runBare(...words);
    expect(await run.ended, run.log()).toBe(code === 'KM_USAGE' ? 2 : 1);
    const { error } = JSON.parse(run.log().trim().split('\n').at(-1) ?? '') as {
      error: { code: string; message: string };
    };
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(mesh.traces()).toEqual([]);
    expect(mesh.enrolled()).toHaveLength(1);
  });

  test('a node whose agent does not run, or serves no waypoints', async () => {
    await mesh.agent.end('SIGTERM');
    const without = mesh.run();
    expect(await without.ended).toBe(1);
    expect(without.log()).toContain('KM_AGENT_UNREACHABLE');
    mesh.node.startAgent();
    await mesh.node.ready();
    const silent = mesh.run();
    expect(await silent.ended).toBe(1);
    expect(silent.log()).toMatch(/KM_CONFIG.*serves no waypoints.*--waypoint-ads/);
    expect(mesh.traces()).toEqual([]);
  });
});
