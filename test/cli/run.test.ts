// SPDX-License-Identifier: Apache-2.0
// From a command line to output and exit code.
import { expect, test } from 'vitest';
import { requiredText, text, texts, toggle, wholeOr } from '../../src/cli/param.ts';
import { type Block, command, type Program } from '../../src/cli/spec.ts';
import { KmeshError } from '../../src/errors.ts';
import { type Options, runLine } from './program.ts';

const base = { group: 'This tool', summary: 'do it', description: 'Does it.', examples: [] } as const;
const nothing = (): Block[] => [];

const echo = command({
  ...base,
  path: ['echo'],
  args: { words: texts('WORD', 'what to say') },
  flags: {
    times: wholeOr(1, 'N', 'how often', { min: 1, max: 9 }),
    title: text('TEXT', 'above'),
    loud: toggle('louder'),
  },
  run: async (ctx, input) => ({ ...input, place: ctx.place }),
  view: ({ words, loud }) => [{ kind: 'line', text: words.join(' '), ...(loud ? { tone: 'bad' } : {}) }],
});

const list = command({
  ...base,
  path: ['show', 'list'],
  args: {},
  flags: {},
  run: async () =>
    (async function* () {
      yield { name: 'a', size: 1n };
      yield { name: 'b', size: 2n ** 60n };
    })(),
  view: (items) => [
    {
      kind: 'table',
      head: ['NAME', 'SIZE'],
      rows: (async function* () {
        for await (const { name, size } of items) yield [name, size];
      })(),
    },
  ],
  formats: { words: async () => 'a b\n' },
});

const change = command({
  ...base,
  path: ['change'],
  args: { what: requiredText('WHAT', 'the thing') },
  flags: {},
  needsRoot: true,
  changesKernel: true,
  handlesSignals: true,
  run: async (_ctx, { what, dryRun }) => {
    if (what === 'bug') throw new TypeError('x is not a function');
    if (what === 'fault') {
      const cause = new KmeshError('KM_MAP', 'map "a": update failed', { cause: new Error('E2BIG') });
      throw new KmeshError('KM_LOAD', 'cannot load\n"a"', { hint: 'try again', cause, detail: 'line 1\nline 2\n' });
    }
    return { what, dryRun };
  },
  view: nothing,
  failure: ({ what }) => (what === 'news' ? new KmeshError('KM_DRIFT', 'bad news') : undefined),
  exitCode: ({ what }) => (what === 'seven' ? 7 : 0),
});

const own = command({
  ...base,
  path: ['own'],
  args: { command: texts('CMD', 'command', { required: true, complete: 'command' }) },
  flags: { as: requiredText('NAME', 'who') },
  ownOutput: true,
  failureCode: 125,
  run: async (ctx, { command: words, as }) => {
    ctx.env.stdout.write(`${as}: ${words.join(' ')}\n`);
    return 0;
  },
  view: nothing,
});

const program: Program = {
  summary: 'A test.',
  version: '1.2.3',
  topics: { show: { summary: 'show things' } },
  commands: [echo, list, change, own],
};
const run = (line: string, options?: Options) => runLine(program, line.split(' ').filter(Boolean), options);

test('flags and arguments arrive typed, what was left out is absent, defaults are in place', async () => {
  const { stdout, code } = await run('echo a b -o json --times 3');
  expect(JSON.parse(stdout)).toEqual({
    words: ['a', 'b'],
    times: 3,
    loud: false,
    place: { bpffs: '/sys/fs/bpf/kmesh', cgroupRoot: '', runDir: '/run/kmesh' },
  });
  expect(code).toBe(0);
  const other = await run('-o json echo --loud --title=x --bpffs /b --run-dir /r --cgroup-root /c');
  expect(JSON.parse(other.stdout)).toEqual({
    words: [],
    times: 1,
    loud: true,
    title: 'x',
    place: { bpffs: '/b', cgroupRoot: '/c', runDir: '/r' },
  });
});

test('flags that were not given are read from the environment', async () => {
  const env = { KMESH_BPFFS: '/e', KMESH_RUN_DIR: '', KMESH_CGROUP_ROOT: '/g' };
  const { stdout } = await run('echo -o json', { env });
  expect(JSON.parse(stdout).place).toEqual({ bpffs: '/e', cgroupRoot: '/g', runDir: '/run/kmesh' });
  const given = await run('echo -o json --bpffs /f', { env });
  expect(JSON.parse(given.stdout).place.bpffs).toBe('/f');
});

test.each([
  ['table', 'NAME  SIZE\na     1\nb     1152921504606846976\n'],
  ['json', '[\n{"name":"a","size":1},\n{"name":"b","size":"1152921504606846976"}\n]\n'],
  ['yaml', '- name: a\n  size: 1\n- name: b\n  size: "1152921504606846976"\n'],
  ['words', 'a b\n'],
])('a stream as %s', async (format, expected) => {
  expect(await run(`show list -o ${format}`)).toEqual({ code: 0, stdout: expected, stderr: '' });
});

test.each([
  ['nope', 'unknown command "nope"', 'see "kmeshctl --help"'],
  ['ech', 'unknown command "ech"', 'did you mean echo?'],
  ['help nope', 'unknown command "nope"', 'see "kmeshctl --help"'],
  ['nope --help', 'unknown command "nope"', 'see "kmeshctl --help"'],
  ['--no-color nope -h', 'unknown command "nope"', 'see "kmeshctl --help"'],
  ['show nope --help', 'unknown command "show nope"', 'see "kmeshctl show --help"'],
  ['show lst', 'unknown command "show lst"', 'did you mean list?'],
  ['sh', 'unknown command "sh"', 'did you mean show?'],
  ['echo --time 3', 'unknown option "--time"', 'did you mean --times?'],
  ['echo --times', '--times needs a value: <N>', 'see "kmeshctl echo --help"'],
  ['echo --times 10', '--times must be a whole number from 1 to 9, got "10"', undefined],
  ['echo --title=', '--title must not be empty', undefined],
  ['echo -o toml', '--output must be one of table, json, yaml, got "toml"', undefined],
  ['show list -o toml', '--output must be one of table, json, yaml, words, got "toml"', undefined],
  ['change', 'WHAT is missing', 'see "kmeshctl change --help"'],
  ['change a b', 'unexpected argument "b"', 'see "kmeshctl change --help"'],
])('usage: %s', async (line, message, hint) => {
  const stderr = `error KM_USAGE: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`;
  expect(await run(line)).toEqual({ code: 2, stdout: '', stderr });
});

test.each([
  ['own true', '--as is missing', '--as <NAME>: who'],
  ['own ls -d', 'unknown option "-d"', 'put -- before the command to run; see "kmeshctl own --help"'],
])('usage of a command that runs another: %s', async (line, message, hint) => {
  const stderr = `error KM_USAGE: ${message}\nhint: ${hint}\n`;
  expect(await run(line)).toEqual({ code: 125, stdout: '', stderr });
});

test('failures: one line, a hint, exit code 1', async () => {
  const { code, stdout, stderr } = await run('change fault');
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error KM_LOAD: cannot load; "a"\nhint: try again\n',
  });
});

test('--verbose adds the causes and the whole detail', async () => {
  const { stderr } = await run('change fault --verbose');
  expect(stderr).toMatch(
    /^error KM_LOAD: cannot load; "a"\nhint: try again\ncaused by KM_MAP: map "a": update failed\ncaused by Error: E2BIG\n(?: {4}at .*\n)+line 1\nline 2\n$/,
  );
});

test('as JSON a failure is one object', async () => {
  const { code, stderr } = await run('change fault -o json');
  expect(code).toBe(1);
  expect(JSON.parse(stderr)).toEqual({ error: { code: 'KM_LOAD', message: 'cannot load\n"a"', hint: 'try again' } });
  const usage = await run('nope -o json');
  expect(JSON.parse(usage.stderr).error.code).toBe('KM_USAGE');
  const verbose = await run('change fault -v -o json');
  expect(JSON.parse(verbose.stderr).error).toMatchObject({
    causes: ['map "a": update failed', 'E2BIG'],
    detail: 'line 1\nline 2\n',
  });
});

test('anything else that is thrown is a bug and says so', async () => {
  const { code, stderr } = await run('change bug');
  expect(code).toBe(1);
  expect(stderr).toBe(
    'error KM_INTERNAL: x is not a function\nhint: this is a bug in kmeshctl; run it again with --verbose and report what it prints\n',
  );
});

test('only what touches the kernel refuses without root, after the usage was checked', async () => {
  expect(await run('change a', { root: false })).toEqual({
    code: 1,
    stdout: '',
    stderr:
      'error KM_NOT_ROOT: "kmeshctl change" touches the kernel and needs root\nhint: run it as root, for example with sudo\n',
  });
  expect((await run('change', { root: false })).code).toBe(2);
  expect((await run('echo a', { root: false })).code).toBe(0);
});

test('a result may carry an exit code; --dry-run comes with commands that change the kernel', async () => {
  expect((await run('change seven')).code).toBe(7);
  expect(JSON.parse((await run('change a --dry-run -o json')).stdout)).toEqual({ what: 'a', dryRun: true });
  expect((await run('echo --dry-run')).code).toBe(2);
});

test('a result that is bad news is printed, then reported as a failure', async () => {
  const { code, stdout, stderr } = await run('change news -o json');
  expect({ code, result: JSON.parse(stdout), fault: JSON.parse(stderr) }).toEqual({
    code: 1,
    result: { what: 'news', dryRun: false },
    fault: { error: { code: 'KM_DRIFT', message: 'bad news' } },
  });
});

test('a command with its own output and failure code', async () => {
  expect(await run('own --as me -- ls -o json --bpffs /x')).toEqual({
    code: 0,
    stdout: 'me: ls -o json --bpffs /x\n',
    stderr: '',
  });
  expect((await run('own -- ls')).code).toBe(125);
  expect((await run('own --as me')).code).toBe(125);
});

test('signals are listened for only where a command asks', async () => {
  let asked = 0;
  const listen = () => {
    asked += 1;
  };
  await run('echo a', { listen });
  expect(asked).toBe(0);
  await run('change a', { listen });
  expect(asked).toBe(1);
});

test('colours: only on a terminal, and not against the wish of anybody', async () => {
  const red = '\u001b[31ma\u001b[39m\n';
  expect((await run('echo a --loud', { tty: true })).stdout).toBe(red);
  expect((await run('echo a --loud')).stdout).toBe('a\n');
  expect((await run('echo a --loud --no-color', { tty: true })).stdout).toBe('a\n');
  expect((await run('echo a --loud', { tty: true, env: { NO_COLOR: '1' } })).stdout).toBe('a\n');
  expect((await run('echo a --loud', { tty: true, env: { NO_COLOR: '' } })).stdout).toBe(red);
  expect((await run('change fault', { tty: true })).stderr).toContain('\u001b[31merror KM_LOAD:\u001b[39m');
});

test('help: topics list their verbs, "help X" is "X --help", all on standard output', async () => {
  const topic = await run('show');
  expect(topic.code).toBe(0);
  expect(topic.stdout).toMatch(/Commands:\n {2}list/);
  expect(topic.stderr).toBe('');
  expect(await run('help show list')).toEqual(await run('show list --help'));
  expect((await run('')).stdout).toMatch(/This tool:\n {2}echo/);
  expect(await run('--version')).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' });
});
