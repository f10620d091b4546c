// SPDX-License-Identifier: Apache-2.0
// One command line from words to exit code: parse, check, run, print, report.
import type { Env } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { type Parsed, parseCommandLine } from './command.ts';
import { commandName, flagsOf, programName } from './describe.ts';
import { asKmeshError, exitCodeOf, exitDone, faultJson, faultText } from './fault.ts';
import { type GlobalInput, globalFlags } from './global.ts';
import { formats, render, writeAll } from './output.ts';
import { painter } from './paint.ts';
import { flagName, type Param, type Params } from './param.ts';
import type { Command, Program, Words } from './spec.ts';

/** Called before a command that ends in its own way on SIGINT and SIGTERM. */
export type ListenForSignals = () => void;

type Show = (key: string, param: Param<unknown>) => string;
const showFlag: Show = (key) => flagName(key);
const showArg: Show = (_key, param) => param.placeholder ?? '';

/** The words of each of `params`: those that were typed, else what its environment variable says. */
const wordsOf = (params: Params, typed: Words, env: Env): Words =>
  Object.fromEntries(
    Object.entries(params).map(([key, param]) => {
      const given = typed[key] ?? [];
      const outside = param.env === undefined ? '' : (env.getenv(param.env) ?? '');
      return [key, given.length === 0 && outside !== '' ? [outside] : given];
    }),
  );

/** Typed values of `params`; a key that may be left out and was is absent. */
function readInput(params: Params, words: Words, show: Show): Readonly<Record<string, unknown>> {
  const input: Record<string, unknown> = {};
  for (const [key, param] of Object.entries(params)) {
    const shown = show(key, param);
    const raw = words[key] ?? [];
    if (raw.length === 0 && param.required === true) {
      const hint = `${shown} <${param.placeholder}>: ${param.summary}`;
      throw new KmeshError('KM_USAGE', `${shown} is missing`, { hint });
    }
    const value = param.read(raw, shown);
    if (value !== undefined) input[key] = value;
  }
  return input;
}

function wantsColour(env: Env, stream: Env['stdout'], refused: boolean): boolean {
  if (refused || (env.getenv('NO_COLOR') ?? '') !== '' || env.getenv('TERM') === 'dumb') return false;
  return stream.isTTY === true;
}

/** --no-color as what it is short for: tasks that print for themselves look there. */
const withoutColour = (env: Env): Env =>
  Object.assign(Object.create(env), { getenv: (name: string) => (name === 'NO_COLOR' ? '1' : env.getenv(name)) });

function checkFormat(command: Command, format: string): void {
  const known = [...formats, ...Object.keys(command.formats ?? {})];
  if (known.includes(format)) return;
  throw new KmeshError('KM_USAGE', `--output must be one of ${known.join(', ')}, got "${format}"`);
}

function checkRoot(command: Command, env: Env): void {
  if (command.needsRoot !== true || env.isRoot()) return;
  throw new KmeshError('KM_NOT_ROOT', `"${programName} ${commandName(command)}" touches the kernel and needs root`, {
    hint: 'run it as root, for example with sudo',
  });
}

async function runCommand(
  parsed: Parsed & { kind: 'run' },
  globals: GlobalInput,
  env: Env,
  from: { program: Program; listen: ListenForSignals },
) {
  const { command } = parsed;
  checkFormat(command, globals.output);
  const args = wordsOf(command.args, parsed.words, env);
  const flags = wordsOf(flagsOf(command), parsed.words, env);
  const input = { ...readInput(command.args, args, showArg), ...readInput(flagsOf(command), flags, showFlag) };
  checkRoot(command, env);
  if (command.handlesSignals === true) from.listen();
  const { bpffs, cgroupRoot, runDir, verbose } = globals;
  const ambient = globals.noColor ? withoutColour(env) : env;
  const result = await command.run(
    {
      env: ambient,
      place: { bpffs, cgroupRoot, runDir },
      verbose,
      output: globals.output,
      program: from.program,
      words: { ...args, ...flags },
    },
    input,
  );
  if (command.ownOutput !== true) {
    const colour = wantsColour(env, env.stdout, globals.noColor);
    await writeAll(env.stdout, render(command, result, globals.output, colour));
  }
  const failure = command.failure?.(result);
  if (failure !== undefined) throw failure;
  return command.exitCode?.(result) ?? exitDone;
}

/** Runs what `argv` (without node and script) asks for and gives the exit code: 0 done, 1 failed, 2 usage, or the command's own. */
export async function runCommandLine(
  program: Program,
  argv: readonly string[],
  env: Env,
  listen: ListenForSignals = () => {},
): Promise<number> {
  const parsed = parseCommandLine(program, argv, Math.min(env.stdout.columns ?? 100, 120));
  if (parsed.kind === 'text') {
    await writeAll(env.stdout, one(parsed.text));
    return exitDone;
  }
  try {
    const globals = readInput(globalFlags, wordsOf(globalFlags, parsed.globals, env), showFlag) as GlobalInput;
    if (parsed.kind === 'misuse') throw parsed.fault;
    return await runCommand(parsed, globals, env, { program, listen });
  } catch (thrown) {
    await report(asKmeshError(thrown), parsed.globals, env);
    return parsed.command?.failureCode ?? exitCodeOf(thrown);
  }
}

async function* one(text: string): AsyncGenerator<string> {
  yield text;
}

async function report(fault: KmeshError, globals: Words, env: Env): Promise<void> {
  const given = (key: keyof GlobalInput): readonly string[] => globals[key] ?? [];
  const verbose = given('verbose').length > 0;
  const colour = wantsColour(env, env.stderr, given('noColor').length > 0);
  const text =
    given('output').at(-1) === 'json' ? faultJson(fault, verbose) : faultText(fault, verbose, await painter(colour));
  await writeAll(env.stderr, one(text));
}
