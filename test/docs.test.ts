// SPDX-License-Identifier: Apache-2.0
// What the pages say, against what there is: links, command lines, flags, reasons and maps.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { maps } from '../src/abi/maps.ts';
import { reasons } from '../src/abi/reasons.ts';
import { parseCommandLine } from '../src/cli/command.ts';
import { flagsOf } from '../src/cli/describe.ts';
import { globalFlags } from '../src/cli/global.ts';
import { flagName } from '../src/cli/param.ts';
import { program } from '../src/cli/program.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .map((file) => `docs/${file}`)
  .concat('README.md');
const textOf = new Map(pages.map((page) => [page, read(page)]));
const each = <T>(of: (text: string, page: string) => readonly T[]): T[] =>
  [...textOf].flatMap(([page, text]) => of(text, page));

/** "## Who may connect?" is #who-may-connect, as GitHub makes them. */
function anchors(text: string): Set<string> {
  const plain = text.replace(/^```.*?^```$/gms, '');
  return new Set(
    [...plain.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links lead to what is there', () => {
  const broken = each((text, page) =>
    [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      if (/^[a-z]+:/.test(target)) return [];
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(root, file))) return [`${page}: ${target}`];
      return anchor === undefined || anchors(read(file)).has(anchor) ? [] : [`${page}: ${target}`];
    }),
  );
  expect(broken).toEqual([]);
});

test('docs/output.md lists each value whose form is held', () => {
  const held = readdirSync(join(root, 'test/kernel/json'));
  const listed = [...read('docs/output.md').matchAll(/^\| `[\w ]+` \| \[([\w-]+\.json)\]/gm)].map(([, file]) => file);
  expect(listed).toEqual(held.sort());
});

/** Command lines of shell blocks, and those within a line that have at least a verb. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.split('\n'));
  const inline = [...text.replace(/^```.*?^```$/gms, '').matchAll(/`(kmeshctl [^`]+)`/g)].map(([, line = '']) => line);
  return [...blocks, ...inline].flatMap((line) => {
    const whole = line.replace(/\s+#.*$/, '').replace(/"[^"]*"|'[^']*'/g, 'quoted');
    return whole.split(/ [|&]+ ?|&&|;|[<>]\(?| > /).flatMap((part) => /^\s*(kmeshctl .*?)\)?$/.exec(part)?.[1] ?? []);
  });
}

test('command lines are ones that the program takes', () => {
  expect(each(commandLines).length).toBeGreaterThan(100);
  const refused = each((text, page) =>
    commandLines(text).flatMap((line) => {
      const parsed = parseCommandLine(program, line.trim().split(/\s+/).slice(1), 100);
      return parsed.kind === 'misuse' && parsed.fault.message.startsWith('un')
        ? [`${page}: ${line}: ${parsed.fault.message}`]
        : [];
    }),
  );
  expect(refused).toEqual([]);
});

test('flags are ones that a command has', () => {
  const ours = new Set(
    [globalFlags, ...program.commands.map(flagsOf)].flatMap((flags) =>
      Object.entries(flags).flatMap(([key, { also }]) => [key, ...(also === undefined ? [] : [also])].map(flagName)),
    ),
  );
  const others = each((text) =>
    [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`]*)`/g)].flatMap(([, code = '']) =>
      [...code.matchAll(/(?<![\w-])--[a-z][a-z0-9-]+/g)].map(([flag]) => flag),
    ),
  ).filter((flag) => !ours.has(flag));
  // Of every command, of node's V8 and of curl.
  const foreign = /^--(help|unix-socket|no-parallel-scavenge|(max|initial)-\w+-space-size)$/;
  expect(others.filter((flag) => !foreign.test(flag))).toEqual([]);
});

test('each reason that programs count is explained', () => {
  const said = [read('docs/data-plane.md')].flatMap((text) =>
    [...text.slice(text.indexOf('## Reasons')).matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, names = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    ),
  );
  expect(said.sort()).toEqual([...reasons].sort());
});

test('each map has its size in the pages', () => {
  const sizes = readdirSync(join(root, 'bpf/maps')).flatMap((file) =>
    [...read(`bpf/maps/${file}`).matchAll(/^struct \{(.*?)^\} (\w+) SEC\("\.maps"\);/gms)].map(
      ([, body = '', name]) => [name ?? '', /max_entries, (\d+)\)/.exec(body)?.[1]] as const,
    ),
  );
  expect(sizes.map(([name]) => name).sort()).toEqual(Object.keys(maps).sort());
  const tables = read('docs/data-plane.md') + read('docs/authorization.md');
  const missing = sizes.filter(([name, size]) => {
    const row = new RegExp(`^\\| [^|]*\`${name}\`.*$`, 'm').exec(tables)?.[0] ?? '';
    return !(row !== '' && (size === undefined || row.includes(Number(size).toLocaleString('en-US'))));
  });
  expect(missing).toEqual([]);
});
