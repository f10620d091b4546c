// SPDX-License-Identifier: Apache-2.0
// Text of flags to values.
import { expect, test } from 'vitest';
import {
  choice,
  choiceOr,
  durationOr,
  flagName,
  listenAddress,
  text,
  textOr,
  texts,
  toggle,
  unlessEmpty,
  whole,
  wholeOr,
} from '../../src/cli/param.ts';

const range = { min: 1, max: 100 };

test.each([
  ['toggle, absent', toggle('t').read([], '--t'), false],
  ['toggle', toggle('t').read([''], '--t'), true],
  ['text, absent', text('X', 't').read([], '--t'), undefined],
  ['text, the last counts', text('X', 't').read(['a', 'b'], '--t'), 'b'],
  ['textOr, absent', textOr('d', 'X', 't').read([], '--t'), 'd'],
  ['texts', texts('X', 't').read(['a', 'b'], '--t'), ['a', 'b']],
  ['whole', whole('N', 't', range).read(['007'], '--t'), 7],
  ['wholeOr, absent', wholeOr(5, 'N', 't', range).read([], '--t'), 5],
  ['choice', choice(['a', 'b'], 'X', 't').read(['b'], '--t'), 'b'],
  ['choiceOr, absent', choiceOr('a', ['a', 'b'], 'X', 't').read([], '--t'), 'a'],
  ['duration, absent', durationOr('60s', 'T', 't').read([], '--t'), 60_000],
  ['ms', durationOr('60s', 'T', 't').read(['250ms'], '--t'), 250],
  ['minutes', durationOr('60s', 'T', 't').read(['5m'], '--t'), 300_000],
  ['hours', durationOr('60s', 'T', 't').read(['1h'], '--t'), 3_600_000],
  ['several units', durationOr('60s', 'T', 't').read(['1h2m3s4ms'], '--t'), 3_723_004],
  ['a part of a unit', durationOr('60s', 'T', 't').read(['1.5s'], '--t'), 1500],
  ['nothing at all', durationOr('60s', 'T', 't').read(['0'], '--t'), 0],
  ['empty, where that is as not given', unlessEmpty(textOr('d', 'X', 't')).read(['a', ''], '--t'), 'd'],
  ['not empty', unlessEmpty(textOr('d', 'X', 't')).read(['', 'a'], '--t'), 'a'],
  ['never', durationOr('60s', 'T', 't').read(['0s'], '--t'), 0],
])('%s', (_name, value, expected) => {
  expect(value).toEqual(expected);
});

test.each([
  ['0', '--t must be a whole number from 1 to 100, got "0"'],
  ['101', '--t must be a whole number from 1 to 100, got "101"'],
  ['1e1', '--t must be a whole number from 1 to 100, got "1e1"'],
  ['-5', '--t must be a whole number from 1 to 100, got "-5"'],
  ['1.5', '--t must be a whole number from 1 to 100, got "1.5"'],
])('whole refuses %s', (word, message) => {
  expect(() => whole('N', 't', range).read([word], '--t')).toThrow(message);
});

test.each(['5', 's', '1d', '-1s', '.5s', '1.s', '1m30', '1m 30s', ''])('duration refuses "%s"', (word) => {
  expect(() => durationOr('1s', 'T', 't').read([word], '--t')).toThrow(
    `--t must be a length of time such as 500ms, 30s or 5m, got "${word}"`,
  );
});

test('choice names what there is', () => {
  expect(() => choice(['a', 'b'], 'X', 't').read(['c'], '--t')).toThrow('--t must be one of a, b, got "c"');
});

test('names of flags', () => {
  expect(['x', 'maxFrontends', 'noColor'].map(flagName)).toEqual(['--x', '--max-frontends', '--no-color']);
});

test('an address without a port: the message gives the one that is usual there', () => {
  expect(() => listenAddress('A', 't', 15088).read(['10.0.0.7'], '--listen')).toThrow(
    '--listen must be an address such as :15088, 127.0.0.1:15088 or [::1]:15088, got "10.0.0.7"',
  );
});
