// SPDX-License-Identifier: Apache-2.0
// Flags in the forms of Go's tools: what the parser is given for them.
import { expect, test } from 'vitest';
import { durationOr, text, texts, toggle } from '../../src/cli/param.ts';
import { behindName, plainWords } from '../../src/cli/words.ts';

const flags = {
  wait: toggle('w', { short: 'w' }),
  namespace: text('NS', 'n', { short: 'n' }),
  timeout: durationOr('9s', 'T', 't', { also: 'waypointTimeout' }),
  config: texts('DIR', 'c'),
};

test.each([
  ['a b --wait', 'a b --wait'],
  ['a --wait=true -w=true', 'a --wait --wait'],
  ['a --wait=false b', 'a b'],
  ['a -w --wait -w=false b', 'a b'],
  ['--wait=false --wait', '--wait'],
  ['--wait=perhaps', '--wait=perhaps'],
  ['-n=shop', '--namespace=shop'],
  ['-n shop', '--namespace shop'],
  ['-nshop -wn shop', '-nshop -wn shop'],
  ['--namespace=', '--namespace='],
  ['--namespace a=b -n=a=b', '--namespace a=b --namespace=a=b'],
  ['--waypoint-timeout 5s --waypoint-timeout=6s', '--timeout 5s --timeout=6s'],
  ['--config --wait=false --config -w', '--config --wait=false --config -w'],
  ['-n', '--namespace'],
  ['--other=1 -x=2 =3 - --=', '--other=1 -x=2 =3 - --='],
  ['-w=true -- -w=true --waypoint-timeout', '--wait -- -w=true --waypoint-timeout'],
])('%s', (typed, plain) => {
  expect(plainWords(typed.split(' '), flags).join(' ')).toBe(plain);
});

const paths = [['load'], ['waypoint', 'list'], ['waypoint', 'run']];
const output = { output: text('FORMAT', 'o', { short: 'o' }) };

test.each([
  ['-n shop waypoint list -A', 'waypoint list --namespace shop -A'],
  ['waypoint -n=shop list more', 'waypoint list --namespace=shop more'],
  ['waypoint --wait -o json -n shop list -n other', 'waypoint --output json list --wait --namespace shop -n other'],
  ['--wait load -- --wait', 'load --wait -- --wait'],
  ['-n list waypoint list', 'waypoint list --namespace list'],
  ['waypoint -n', 'waypoint --namespace'],
  ['-n shop waypoint --help', 'waypoint --help --namespace shop'],
  ['-n shop --help', '--namespace shop --help'],
  ['waypoint -n list', 'waypoint --namespace list'],
  ['-n shop -- waypoint list', '--namespace shop -- waypoint list'],
  ['--wait waypoint other', '--wait waypoint other'],
  ['--other -n shop load', '--other load --namespace shop'],
  ['-o json load -n shop', '--output json load -n shop'],
])('before the name: %s', (typed, moved) => {
  const all = { ...flags, ...output };
  const [head, ...rest] = behindName(plainWords(typed.split(' '), all), all, output, paths);
  expect([head, ...rest].join(' ')).toBe(plainWords(moved.split(' '), all).join(' '));
});
