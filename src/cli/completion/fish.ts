// SPDX-License-Identifier: Apache-2.0
// The completion script of fish.
import { programName } from '../describe.ts';
import type { Program } from '../spec.ts';
import { everywhere, type FlagWord, type Spot, spots, type Value, valueFlagNames } from './words.ts';

const quote = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`;

function offered(value: Value): string {
  if (value.kind === 'words') return `-f -a ${quote(value.words.join(' '))}`;
  if (value.kind === 'file') return '-F';
  if (value.kind === 'directory') return `-f -a '(__fish_complete_directories)'`;
  return value.kind === 'command' ? `-f -a '(__fish_complete_command)'` : '-f';
}

const line = (...parts: readonly string[]): string =>
  ['complete', '-c', programName, ...parts].filter(Boolean).join(' ');

function flagLine(at: string, { names, summary, value }: FlagWord): string {
  const words = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  return line(at, ...words, value === undefined ? '' : `-r ${offered(value)}`.trim(), `-d ${quote(summary)}`);
}

function spotLines({ path, below, flags, args }: Spot): string[] {
  const at = `-n ${quote(`__${programName}_at "${path}"`)}`;
  return [
    ...below.map(({ name, summary }) => line(at, `-a ${name}`, `-d ${quote(summary)}`)),
    ...flags.map((flag) => flagLine(at, flag)),
    ...args.filter(({ value }) => value.kind !== 'anything').map(({ value }) => line(at, offered(value))),
  ];
}

export function fishScript(program: Program): string {
  const all = spots(program);
  const paths = all.flatMap(({ path, below }) => below.map(({ name }) => quote(`${path}:${name}`)));
  return `# fish completion for ${programName}: generated from its list of commands, do not edit.

# True when the command named so far is exactly this one.
function __${programName}_at
    set -l path ''
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case --
                break
            case ${valueFlagNames(program).join(' ')}
                set skip yes
            case '-*'
            case '*'
                switch "$path:$word"
                    case ${paths.join(' ')}
                        set path (string trim "$path $word")
                end
        end
    end
    test "$path" = "$argv[1]"
end

${line('-f')}
${everywhere.map((flag) => flagLine('', flag)).join('\n')}
${all.flatMap(spotLines).join('\n')}
`;
}
