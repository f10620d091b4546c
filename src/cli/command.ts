// SPDX-License-Identifier: Apache-2.0
// Specs to commander, and a command line to the command it names: the one file that knows commander.
import { type CommanderError, Option, Command as Parser } from 'commander';
import { KmeshError } from '../errors.ts';
import { argTerm, flagsOf, flagTerm, paramText, programName } from './describe.ts';
import { globalFlags } from './global.ts';
import { flagName, type Params } from './param.ts';
import type { Command, Program, Words } from './spec.ts';
import { behindName, plainWords } from './words.ts';

/** What a command line asks for. */
export type Parsed = { readonly globals: Words } & (
  | { readonly kind: 'run'; readonly command: Command; readonly words: Words }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'misuse'; readonly fault: KmeshError; readonly command: Command | undefined }
);

/** A fault of the command line, with the command it was made at and the arguments of that. */
class Misuse extends Error {
  readonly fault: CommanderError;
  readonly at: readonly string[];
  readonly args: readonly string[];
  constructor(fault: CommanderError, at: readonly string[], args: readonly string[]) {
    super(fault.message);
    this.fault = fault;
    this.at = at;
    this.args = args;
  }
}

/** A parser with our ways: nothing is printed, nothing exits. `text` collects what it would have printed. */
function plainParser(parser: Parser, at: readonly string[], text: string[], width: number): Parser {
  return parser
    .exitOverride((fault) => {
      throw new Misuse(fault, at, parser.args);
    })
    .configureOutput({
      writeOut: (piece) => text.push(piece),
      writeErr: (piece) => text.push(piece),
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
    })
    .configureHelp({ showGlobalOptions: true })
    .helpOption('-h, --help', 'show help')
    .helpCommand(false);
}

const collect = (word: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), word];

function addFlags(parser: Parser, flags: Params): void {
  for (const [key, param] of Object.entries(flags)) {
    const term =
      param.placeholder === undefined ? flagTerm(key, param) : flagTerm(key, param).replace(/ (\S+)$/, ' <$1>');
    const option = new Option(term, paramText(param));
    parser.addOption(param.repeatable === true ? option.argParser(collect) : option);
  }
}

function addArgs(parser: Parser, args: Params): void {
  for (const param of Object.values(args)) {
    const name = argTerm(param).replace(/[[\]]/g, '').replace('…', '...');
    parser.argument(param.required === true ? `<${name}>` : `[${name}]`, paramText(param));
  }
}

const exampleText = (command: Command): string =>
  ['', 'Examples:', ...command.examples.flatMap(({ line, note }) => [`  # ${note}`, `  ${line}`])].join('\n');

/** Words of one flag or argument as commander hands them over: a value, a list, or true for a switch. */
function wordsOf(raw: unknown): readonly string[] {
  if (raw === undefined || raw === false) return [];
  if (raw === true) return [''];
  return Array.isArray(raw) ? raw.map(String) : [String(raw)];
}

/** commander keeps --no-x as x, true unless given. */
function flagWords(parser: Parser, flags: Params): Words {
  const given = parser.opts<Readonly<Record<string, unknown>>>();
  const negated = (key: string): string => key.charAt(2).toLowerCase() + key.slice(3);
  return Object.fromEntries(
    Object.keys(flags).map((key) => [
      key,
      flagName(key).startsWith('--no-') ? wordsOf(given[negated(key)] === false) : wordsOf(given[key]),
    ]),
  );
}

interface Tree {
  readonly root: Parser;
  /** What the command line named, once parsed. */
  chosen?: { readonly command: Command; readonly words: Words };
}

/** Verbs and flags are made only where `words` could mean them: hundreds that nobody asks for cost start time. */
function buildTree(program: Program, words: readonly string[], text: string[], width: number): Tree {
  const root = plainParser(new Parser(programName), [], text, width);
  const tree: Tree = { root };
  root.description(program.summary).version(program.version, '--version', 'print the version');
  addFlags(root, globalFlags);
  root.addHelpText('after', `\nRun "${programName} COMMAND --help" for the flags and examples of one command.`);
  const topics = new Map<string, Parser>();
  const topic = (name: string, group: string): Parser => {
    const parser = topics.get(name) ?? plainParser(root.command(name), [name], text, width).helpGroup(`${group}:`);
    topics.set(name, parser.description(program.topics[name]?.summary ?? ''));
    return parser;
  };
  for (const command of program.commands) {
    const [first, verb] = command.path;
    const parent = verb === undefined ? root : topic(first, command.group);
    if (verb !== undefined && !words.includes(first)) continue;
    const leaf = plainParser(parent.command(verb ?? first), command.path, text, width);
    leaf.summary(command.summary).description(`${command.summary}\n\n${command.description}`);
    if (verb === undefined) leaf.helpGroup(`${command.group}:`);
    leaf.addHelpText('after', () => exampleText(command));
    addArgs(leaf, command.args);
    if (command.path.every((word) => words.includes(word))) addFlags(leaf, flagsOf(command));
    leaf.action((...given: unknown[]) => {
      const args = Object.keys(command.args).map((key, index) => [key, wordsOf(given[index])] as const);
      tree.chosen = { command, words: { ...Object.fromEntries(args), ...flagWords(leaf, flagsOf(command)) } };
    });
  }
  return tree;
}

/** What commander says, by its code, in our words. `named`: what it has in quotes. */
const inOurWords: Readonly<Record<string, (named: string, misuse: Misuse, command: Command | undefined) => string>> = {
  'commander.unknownCommand': (named, { at }) => `unknown command "${[...at, named].join(' ')}"`,
  'commander.unknownOption': (named) => `unknown option "${named}"`,
  'commander.missingArgument': (named) => `${named} is missing`,
  'commander.optionMissingArgument': (named) => `${named.replace(/^-., /, '').replace(' ', ' needs a value: ')}`,
  'commander.excessArguments': (_, { args }, command) =>
    `unexpected argument "${args[Object.keys(command?.args ?? {}).length] ?? ''}"`,
};

/** What may have been meant: commander's guess, else the commands that begin so. */
function guess(program: Program, { fault, at }: Misuse, named: string): string | undefined {
  const guessed = /\(Did you mean (.*)\?\)/.exec(fault.message)?.[1];
  if (guessed !== undefined || fault.code !== 'commander.unknownCommand') return guessed;
  const siblings = program.commands.filter(({ path }) => at.every((word, i) => path[i] === word));
  const longer = new Set(siblings.map(({ path }) => path[at.length] ?? '').filter((name) => name.startsWith(named)));
  return longer.size === 0 ? undefined : [...longer].join(' or ');
}

function usageFault(program: Program, misuse: Misuse, command: Command | undefined): KmeshError {
  const { fault, at } = misuse;
  const [first = ''] = fault.message.replace(/^error: /, '').split('\n');
  const named = /'([^']*)'/.exec(first)?.[1] ?? '';
  const meant = guess(program, misuse, named);
  const help = `see "${[programName, ...at, '--help'].join(' ')}"`;
  const runsCommand = Object.values(command?.args ?? {}).some(({ complete }) => complete === 'command');
  const see =
    runsCommand && fault.code === 'commander.unknownOption' ? `put -- before the command to run; ${help}` : help;
  return new KmeshError('KM_USAGE', inOurWords[fault.code]?.(named, misuse, command) ?? first, {
    hint: meant === undefined ? see : `did you mean ${meant}?`,
  });
}

/** Words for another program have to come after "--": before it they are taken for a slip. */
function misplaced({ command, words }: NonNullable<Tree['chosen']>, argv: readonly string[]): KmeshError | undefined {
  const [key, param] = Object.entries(command.args).at(-1) ?? [];
  if (key === undefined || param?.passedOn !== true) return undefined;
  const end = argv.indexOf('--');
  const behind = end < 0 ? 0 : argv.length - end - 1;
  const given = words[key] ?? [];
  if (given.length <= behind) return undefined;
  return new KmeshError('KM_USAGE', `unexpected argument "${given[0]}"`, {
    hint: `put -- before what is passed on; see "${[programName, ...command.path, '--help'].join(' ')}"`,
  });
}

const answers: ReadonlySet<string> = new Set(['commander.help', 'commander.helpDisplayed', 'commander.version']);

/** What "help COMMAND" stands for; a name that is none is left to be refused as a command. */
function helpWords(program: Program, names: readonly string[]): readonly string[] {
  const [first] = names;
  const known = first === undefined || first.startsWith('-') || program.commands.some(({ path }) => path[0] === first);
  return known ? [...names, '--help'] : names;
}

/** Help is given for what there is: a command line that names a command or verb that is none is refused as it would be without --help. */
function misnamed(program: Program, words: readonly string[], width: number): Misuse | undefined {
  const end = words.indexOf('--');
  const asking = (word: string, i: number): boolean => (word === '--help' || word === '-h') && (end < 0 || i < end);
  const rest = words.filter((word, i) => !asking(word, i));
  if (rest.length === words.length || rest.length === 0) return undefined;
  try {
    buildTree(program, rest, [], width).root.parse(rest, { from: 'user' });
  } catch (error) {
    if (error instanceof Misuse && error.fault.code === 'commander.unknownCommand') return error;
    if (!(error instanceof Misuse)) throw error;
  }
  return undefined;
}

/** Of the command that the words name, or of all of the topic when they name no more. */
function flagsMeant(program: Program, words: readonly string[]): Params {
  const named = program.commands.filter(({ path }) => words.includes(path[0]));
  const meant = named.filter(({ path }) => path.every((word) => words.includes(word)));
  return Object.assign({}, ...(meant.length > 0 ? meant : named).map(flagsOf), globalFlags);
}

/** `argv`: without node and script. `width`: of help text, in columns. */
export function parseCommandLine(program: Program, argv: readonly string[], width: number): Parsed {
  const text: string[] = [];
  const asked = argv[0] === 'help' ? helpWords(program, argv.slice(1)) : argv;
  const flags = flagsMeant(program, asked);
  const paths = program.commands.map(({ path }) => path);
  const words = behindName(plainWords(asked, flags), flags, globalFlags, paths);
  const tree = buildTree(program, words, text, width);
  try {
    tree.root.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof Misuse)) throw error;
    const globals = flagWords(tree.root, globalFlags);
    if (answers.has(error.fault.code)) {
      const unknown = misnamed(program, words, width);
      if (unknown)
        return { kind: 'misuse', fault: usageFault(program, unknown, undefined), command: undefined, globals };
      return { kind: 'text', text: text.join(''), globals };
    }
    const command = program.commands.find(({ path }) => path.join(' ') === error.at.join(' '));
    return { kind: 'misuse', fault: usageFault(program, error, command), command, globals };
  }
  if (tree.chosen === undefined) throw new KmeshError('KM_INTERNAL', 'the command line named no command');
  const globals = flagWords(tree.root, globalFlags);
  const fault = misplaced(tree.chosen, words);
  return fault
    ? { kind: 'misuse', fault, command: tree.chosen.command, globals }
    : { kind: 'run', ...tree.chosen, globals };
}
