// SPDX-License-Identifier: Apache-2.0
// The completion script of bash. Needs nothing but bash itself.
import { programName } from '../describe.ts';
import type { Program } from '../spec.ts';
import { everywhere, type FlagWord, spots, type Value, valueFlagNames } from './words.ts';

/** Sets what the end of the script offers. */
function offer(value: Value): string {
  if (value.kind === 'words') return `words='${value.words.join(' ')}'`;
  return value.kind === 'anything' ? ':' : `kind=${value.kind}`;
}

/** Branches of a case: the flags that take a value, each name as `pattern` has it. */
const valueCases = (flags: readonly FlagWord[], pattern: (name: string) => string): string[] =>
  flags.flatMap(({ names, value }) =>
    value === undefined ? [] : [`${names.map(pattern).join(' | ')}) ${offer(value)} ;;`],
  );

const indent = (lines: readonly string[]): string => lines.map((line) => `      ${line}`).join('\n');

export function bashScript(program: Program): string {
  const all = spots(program);
  const paths = all.flatMap(({ path, below }) => below.map(({ name }) => `'${path}:${name}'`));
  const values = [
    ...all.flatMap(({ path, flags }) => valueCases(flags, (name) => `'${path}:${name}'`)),
    ...valueCases(everywhere, (name) => `*':${name}'`),
  ];
  const flagLines = all.map(({ path, flags }) => {
    const names = [...flags, ...everywhere].flatMap((flag) => flag.names);
    return `'${path}') words='${names.join(' ')}' ;;`;
  });
  const argLines = all.flatMap(({ path, below, args }) => {
    if (below.length > 0) return [`'${path}:0') words='${below.map(({ name }) => name).join(' ')}' ;;`];
    return args.map(({ value, repeatable }, index) => `'${path}:'${repeatable ? '*' : index}) ${offer(value)} ;;`);
  });
  return `# bash completion for ${programName}: generated from its list of commands, do not edit.
_${programName}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local path='' count=0 after='' words='' kind='' word i
  # --flag=value comes as three words.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $after ]]; then
      ((++count))
      continue
    fi
    case $word in
      --) after=yes prev='' ;;
      ${valueFlagNames(program).join(' | ')})
        [[ \${COMP_WORDS[i + 1]} == '=' ]] && ((++i))
        ((++i))
        ;;
      -*) ;;
      *)
        case "$path:$word" in
          ${paths.join(' | ')})
            path="\${path:+$path }$word"
            ;;
          *) ((++count)) ;;
        esac
        ;;
    esac
  done
  if [[ -z $after ]]; then
    case "$path:$prev" in
${indent(values)}
      *) kind=none ;;
    esac
  fi
  if [[ $kind == none && $cur == -* ]]; then
    case "$path" in
${indent(flagLines)}
    esac
  elif [[ $kind == none || -n $after ]]; then
    case "$path:$count" in
${indent(argLines)}
    esac
  fi
  COMPREPLY=()
  case $kind in
    file)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      ;;
    directory)
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      ;;
    command) mapfile -t COMPREPLY < <(compgen -c -- "$cur") ;;
    *) [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
  esac
  return 0
}
complete -F _${programName} ${programName}
`;
}
