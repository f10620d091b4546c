// SPDX-License-Identifier: Apache-2.0
// Man pages: kmeshctl.1 and one for each command.
import { errorCodes } from '../../errors.ts';
import { argTerm, flagsOf, flagTerm, paramText, programName } from '../describe.ts';
import { globalFlags } from '../global.ts';
import type { Params } from '../param.ts';
import type { Command, Program } from '../spec.ts';

/** Text of a line: backslashes and minus signs are taken literally, a dot or quote at the start is no request. */
const roff = (text: string): string =>
  text
    .replace(/\\/g, '\\(rs')
    .replace(/-/g, '\\-')
    .replace(/…/g, '...')
    .replace(/^([.'])/gm, '\\&$1');

const head = (page: string, program: Program): string =>
  `.\\" Generated from the list of commands: do not edit.\n.TH ${roff(page.toUpperCase())} 1 "" "${programName} ${program.version}" "${programName}"`;

const tagged = (term: string, text: string): string => `.TP\n.B ${roff(term)}\n${roff(text)}`;

const paramLines = (params: Params, term: typeof flagTerm): string[] =>
  Object.entries(params).map(([key, param]) => tagged(term(key, param), paramText(param)));

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : [`.SH ${title}`, ...lines];

const pageOf = (command: Command): string => [programName, ...command.path].join('-');

const seeAlso = (pages: readonly string[]): string[] =>
  section('SEE ALSO', [pages.map((page) => `.BR ${roff(page)} (1)`).join(' ,\n')]);

function exitStatus(command: Command): string[] {
  if (command.failureCode !== undefined) {
    return [
      tagged(String(command.failureCode), `${programName} itself failed, or the command line does not make sense`),
    ];
  }
  return [tagged('0', 'done'), tagged('1', 'failed'), tagged('2', 'the command line does not make sense')];
}

function commandPage(command: Command, program: Program): string {
  const args = Object.values(command.args).map((param) => `\n.I ${roff(argTerm(param))}`);
  return `${[
    head(pageOf(command), program),
    ...section('NAME', [`${roff(pageOf(command))} \\- ${roff(command.summary)}`]),
    ...section('SYNOPSIS', [`.B ${roff([programName, ...command.path].join(' '))}\n.RI [ flags ]${args.join('')}`]),
    ...section('DESCRIPTION', [roff(command.description)]),
    ...section(
      'ARGUMENTS',
      paramLines(command.args, (_key, param) => argTerm(param)),
    ),
    ...section('OPTIONS', [
      ...paramLines(flagsOf(command), flagTerm),
      `${Object.keys(flagsOf(command)).length > 0 ? '.PP\n' : ''}Flags that every command takes are in\n.BR ${programName} (1).`,
    ]),
    ...section('EXAMPLES', [
      command.examples
        .map(({ line, note }) => `${roff(note)}:\n.PP\n.RS 4\n.nf\n${roff(line)}\n.fi\n.RE`)
        .join('\n.PP\n'),
    ]),
    ...section('EXIT STATUS', exitStatus(command)),
    ...seeAlso([programName]),
  ].join('\n')}\n`;
}

function mainPage(program: Program): string {
  const groups = [...new Set(program.commands.map(({ group }) => group))];
  const list = groups.flatMap((group) => [
    `.SS ${roff(group)}`,
    ...program.commands
      .filter((command) => command.group === group)
      .map((command) => `.TP\n.BR ${roff(pageOf(command))} (1)\n${roff(command.summary)}`),
  ]);
  const environment = Object.entries(globalFlags).flatMap(([key, param]) =>
    param.env === undefined ? [] : [tagged(param.env, `read when ${flagTerm(key, param).split(' ')[0]} is not given`)],
  );
  return `${[
    head(programName, program),
    ...section('NAME', [`${programName} \\- ${roff(program.summary.replace(/\.$/, ''))}`]),
    ...section('SYNOPSIS', [`.B ${programName}\n.I command\n.RI [ flags ]\n.RI [ arguments ]`]),
    ...section('COMMANDS', list),
    ...section('OPTIONS', [
      ...paramLines(globalFlags, flagTerm),
      tagged('-h, --help', 'show help'),
      tagged('--version', 'print the version'),
    ]),
    ...section('ENVIRONMENT', [...environment, tagged('NO_COLOR', 'no colours when set and not empty')]),
    ...section('EXIT STATUS', [
      tagged('0', 'done'),
      tagged('1', 'failed: one line "error CODE: what failed and why", and a hint'),
      tagged('2', 'the command line does not make sense'),
    ]),
    ...section(
      'ERRORS',
      Object.entries(errorCodes).map(([code, meaning]) => tagged(code, meaning)),
    ),
    ...seeAlso(program.commands.map(pageOf)),
  ].join('\n')}\n`;
}

/** Path below the project -> text. */
export function manPages(program: Program): ReadonlyMap<string, string> {
  return new Map([
    [`man/${programName}.1`, mainPage(program)],
    ...program.commands.map((command) => [`man/${pageOf(command)}.1`, commandPage(command, program)] as const),
  ]);
}
