// SPDX-License-Identifier: Apache-2.0
// The completion script of zsh: a function for each place in the tree of commands.
import { programName } from '../describe.ts';
import type { Program } from '../spec.ts';
import { everywhere, type FlagWord, type Spot, spots, type Value, valueFlagNames } from './words.ts';

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Text inside a specification: colons and brackets have meaning there. */
const plain = (text: string): string => text.replace(/[[\]:\\]/g, '\\$&');

function action(value: Value): string {
  if (value.kind === 'words') return `(${value.words.join(' ')})`;
  return { file: '_files', directory: '_files -/', command: '_normal', anything: ' ' }[value.kind];
}

/** One flag as `_arguments` takes it. */
function flagSpec({ names, summary, value, repeatable }: FlagWord): string {
  const tail = `[${plain(summary)}]${value === undefined ? '' : `:value:${action(value)}`}`;
  const long = names.at(-1) ?? '';
  const equals = value === undefined ? '' : '=';
  if (repeatable) return quote(`*${long}${equals}${tail}`);
  if (names.length === 1) return quote(`${long}${equals}${tail}`);
  return `'(${names.join(' ')})'{${names.map((name) => (name.startsWith('--') ? name + equals : name)).join(',')}}${quote(tail)}`;
}

const functionName = (path: string): string => `_${[programName, ...path.split(' ').filter(Boolean)].join('_')}`;

function argSpec({ value, name, repeatable }: Spot['args'][number], index: number): string {
  if (value.kind === 'command') return quote(`*::${plain(name)}:${action(value)}`);
  return quote(`${repeatable ? '*' : index + 1}:${plain(name)}:${action(value)}`);
}

function spotFunction({ path, below, flags, args }: Spot): string {
  const specs = [...flags, ...everywhere].map(flagSpec);
  const body = (lines: readonly string[]): string => lines.map((line) => ` \\\n    ${line}`).join('');
  if (below.length === 0)
    return `${functionName(path)}() {\n  _arguments -s -S${body([...specs, ...args.map(argSpec)])}\n}\n`;
  return `${functionName(path)}() {
  local curcontext=$curcontext state state_descr line
  local -A opt_args
  local -a kept=("\${words[@]}")
  local -i dropped=0
  _${programName}_forget_flags
  words=("\${kept[@]}")
  (( CURRENT -= dropped ))
  _arguments -s -S -C${body([...specs, `'1:command:->command'`, `'*::argument:->argument'`])}
  case $state in
    command)
      local -a names=(
${below.map(({ name, summary }) => `        ${quote(`${name}:${plain(summary)}`)}`).join('\n')}
      )
      _describe command names
      ;;
    argument)
      case $line[1] in
${below.map(({ name }) => `        ${name}) ${functionName(`${path} ${name}`)} ;;`).join('\n')}
      esac
      ;;
  esac
}
`;
}

/** Flags of commands may stand before the name, where `_arguments` knows none of them. */
function forgetFlags(program: Program): string {
  const common = everywhere.filter(({ value }) => value !== undefined).flatMap(({ names }) => names);
  const known = everywhere.flatMap(({ names }) => names);
  const early = valueFlagNames(program).filter((name) => !known.includes(name));
  return `# Takes flags of commands out of the words before the next name: fills kept and dropped of its caller, as what is done to words lasts as
# long as a function.
_${programName}_forget_flags() {
  local -i i=2
  while (( i < CURRENT - dropped )); do
    case $kept[i] in
      (${common.join('|')}) (( i += 2 )) ;;
      (${[...common.map((name) => `${name}=*`), ...known.filter((name) => !common.includes(name))].join('|')}) (( i++ )) ;;
      (${early.join('|')})
        (( i + 1 < CURRENT - dropped )) || return 0
        kept[i,i+1]=()
        (( dropped += 2 ))
        ;;
      (-?*)
        kept[i]=()
        (( dropped++ ))
        ;;
      (*) return 0 ;;
    esac
  done
}
`;
}

export function zshScript(program: Program): string {
  return `#compdef ${programName}
# zsh completion for ${programName}: generated from its list of commands, do not edit.

${forgetFlags(program)}
${spots(program).map(spotFunction).join('\n')}
# Autoloaded from $fpath this file is the function; sourced, it defines it.
if [[ \${funcstack[1]} == _${programName} ]]; then
  _${programName} "$@"
else
  compdef _${programName} ${programName}
fi
`;
}
