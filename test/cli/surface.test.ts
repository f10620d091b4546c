// SPDX-License-Identifier: Apache-2.0
// The command line is a contract: a change of it shows as a change of the snapshot.
import { expect, test } from 'vitest';
import { maps } from '../../src/abi/maps.ts';
import { logLevels as agentLevels } from '../../src/admin/types.ts';
import { parseCommandLine } from '../../src/cli/command.ts';
import { argTerm, commandName, flagsOf, flagTerm, usageLine } from '../../src/cli/describe.ts';
import { globalFlags } from '../../src/cli/global.ts';
import { logLevels } from '../../src/cli/log-levels.ts';
import { mapNames } from '../../src/cli/map-names.ts';
import { formats } from '../../src/cli/output.ts';
import type { Params } from '../../src/cli/param.ts';
import { program } from '../../src/cli/program.ts';
import { runLine } from './program.ts';

const terms = (flags: Params): string[] =>
  Object.entries(flags).map(([key, param]) => {
    const notes = [param.required ? 'required' : '', param.repeatable ? 'repeatable' : '', param.fallback ?? ''];
    return [flagTerm(key, param), ...notes.filter(Boolean)].join(' | ');
  });

test('flags, arguments and traits of each command', async () => {
  const surface = program.commands.map((command) => ({
    command: commandName(command),
    args: Object.values(command.args).map(argTerm),
    flags: terms(flagsOf(command)),
    root: command.needsRoot === true,
    formats: [...formats, ...Object.keys(command.formats ?? {})],
  }));
  await expect(`${JSON.stringify({ global: terms(globalFlags), surface }, null, 2)}\n`).toMatchFileSnapshot(
    'surface.json',
  );
});

test.each(program.commands.map((command) => [commandName(command), command] as const))(
  '%s: help says what it is, with examples that parse',
  async (name, command) => {
    const { code, stdout, stderr } = await runLine(program, [...command.path, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(`Usage: kmeshctl ${name}`);
    expect(stdout).toContain(command.summary);
    expect(usageLine(command)).toContain(`kmeshctl ${name}`);
    expect(command.summary).toMatch(/^[a-z].*[^.]$/);
    expect(command.examples.length).toBeGreaterThan(0);
    for (const { line } of command.examples) {
      expect(stdout).toContain(line);
      const own = /kmeshctl [^|>)&]*/.exec(line)?.[0].trim().split(' ').slice(1) ?? [];
      expect(parseCommandLine(program, own, 100)).toMatchObject({ kind: 'run', command: { path: command.path } });
    }
  },
);

test('words that completion offers are those there are', () => {
  expect(mapNames).toEqual(Object.keys(maps));
  expect(logLevels).toEqual(agentLevels);
});

test('whatever changes the kernel has a dry run and wants root', () => {
  const changing = program.commands.filter(({ changesKernel }) => changesKernel).map(commandName);
  expect(changing).toEqual([
    ...['load', 'unload', 'upgrade', 'enroll', 'unenroll', 'enrolled', 'authz enable', 'authz disable'],
    ...['install', 'uninstall'],
  ]);
  expect(program.commands.filter(({ changesKernel, needsRoot }) => changesKernel && !needsRoot)).toEqual([]);
});
