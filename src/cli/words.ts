// SPDX-License-Identifier: Apache-2.0
// Flags as Go's tools take them too (-n=VALUE, --switch=true, --switch=false, another name, before the verb), turned into how ours are typed.
import { flagName, type Param, type Params } from './param.ts';

/** Long and short names of flags, in every form they are known by. */
function namesOf(flags: Params): Map<string, { readonly name: string; readonly param: Param<unknown> }> {
  const names = new Map<string, { name: string; param: Param<unknown> }>();
  for (const [key, param] of Object.entries(flags)) {
    const flag = { name: flagName(key), param };
    names.set(flag.name, flag);
    if (param.short !== undefined) names.set(`-${param.short}`, flag);
    if (param.also !== undefined) names.set(flagName(param.also), flag);
  }
  return names;
}

/** `words` up to "--", with every known flag in the form that the parser takes; what is unknown stays for it to refuse. */
export function plainWords(words: readonly string[], flags: Params): readonly string[] {
  const names = namesOf(flags);
  const end = words.indexOf('--');
  const out: string[] = [];
  const own = end < 0 ? words : words.slice(0, end);
  for (let i = 0; i < own.length; i++) {
    const word = own[i] ?? '';
    const [, given = word, value] = /^(--?[^=]+)=(.*)$/s.exec(word) ?? [];
    const flag = names.get(given);
    if (!flag) {
      out.push(word);
    } else if (flag.param.placeholder !== undefined) {
      out.push(value === undefined ? flag.name : `${flag.name}=${value}`);
      // Whatever follows is its value, however it looks.
      if (value === undefined && i + 1 < own.length) out.push(own[++i] ?? '');
    } else if (value === undefined || value === 'true') {
      out.push(flag.name);
    } else if (value === 'false') {
      for (let at = out.indexOf(flag.name); at >= 0; at = out.indexOf(flag.name)) out.splice(at, 1);
    } else {
      out.push(word);
    }
  }
  return end < 0 ? out : [...out, ...words.slice(end)];
}

/**
 * Plain `words` with the flags of a command that stand before its name put behind it: "-n shop waypoint list", "waypoint -n shop list". Where
 * a topic is all that is named they stand behind that: "-n shop waypoint --help" asks for its help.
 * `everywhere`: flags that may stand there; `paths`: names of all commands.
 */
export function behindName(
  words: readonly string[],
  flags: Params,
  everywhere: Params,
  paths: readonly (readonly string[])[],
): readonly string[] {
  const names = namesOf(flags);
  const stay = namesOf(everywhere);
  const before: string[] = [];
  const moved: string[] = [];
  let left = paths;
  let depth = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? '';
    if (word === '--') return words;
    if (word.startsWith('-')) {
      const [name = ''] = word.split('=', 1);
      const flag = names.get(name);
      const to = flag && !stay.has(name) ? moved : before;
      to.push(word);
      if (flag?.param.placeholder !== undefined && name === word && i + 1 < words.length) to.push(words[++i] ?? '');
      continue;
    }
    before.push(word);
    left = left.filter((path) => path[depth] === word);
    depth++;
    if (left.some((path) => path.length === depth)) return [...before, ...moved, ...words.slice(i + 1)];
  }
  return depth > 0 && left.length > 0 ? [...before, ...moved] : words;
}
