// SPDX-License-Identifier: Apache-2.0
// Who may import whom, from the import lines of src/: one way, and no way round.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const src = join(import.meta.dirname, '..', 'src');

/** Folder of src -> folders it may import besides itself; those behind `types` as types only. */
const allowed: Readonly<Record<string, { readonly values: readonly string[]; readonly types?: readonly string[] }>> = {
  net: { values: [] },
  abi: { values: [] },
  mesh: { values: [] },
  source: { values: ['mesh'] },
  compile: { values: ['mesh', 'abi'] },
  kernel: { values: ['abi'] },
  outputs: { values: [] },
  admin: { values: [], types: ['mesh', 'abi'] },
  kube: { values: [] },
  waypoint: { values: ['mesh', 'compile'] },
  agent: { values: ['mesh', 'abi', 'compile', 'kernel', 'source', 'outputs', 'admin'] },
  tasks: {
    values: ['admin', 'agent', 'agent.ts', 'compile', 'kernel', 'kube', 'source', 'demo', 'mesh', 'abi', 'waypoint'],
  },
  demo: { values: ['admin', 'agent', 'compile', 'kernel', 'source', 'tasks', 'mesh', 'abi'] },
  cli: { values: ['tasks'] },
};
/** Open to all. */
const open = new Set(['errors.ts', 'net']);
/** Files of src itself that the rims may import too: env is what they get, version is a constant, and all make folders and read files. */
const rims = new Set(['source', 'kernel', 'kube', 'waypoint', 'outputs', 'admin', 'agent', 'tasks', 'demo', 'cli']);
/** No input or output, no clock, no process: nothing of node. */
const pure = new Set(['net', 'abi', 'mesh', 'compile']);

interface Import {
  readonly from: string;
  /** Path below src, or the package as written. */
  readonly to: string;
  readonly inside: boolean;
  readonly typeOnly: boolean;
  readonly lazy: boolean;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort();
const textOf = new Map(files.map((file) => [file, readFileSync(join(src, file), 'utf8')]));

const pattern =
  /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^import\s+'([^']+)'|(import)\(\s*'([^']+)'\s*\)|new URL\('([^']+)', import\.meta\.url\)/gm;

function importsOf(file: string): Import[] {
  return [...(textOf.get(file) ?? '').matchAll(pattern)].map((match) => {
    const [, type, from, bare, lazy, lazily, url] = match;
    const written = from ?? bare ?? lazily ?? url ?? '';
    const inside = written.startsWith('.');
    const to = inside ? relative(src, join(src, dirname(file), written)) : written;
    return { from: file, to, inside, typeOnly: type !== undefined, lazy: lazy !== undefined };
  });
}

const imports = files.flatMap(importsOf);
const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : path);

function refused({ from, to, inside, typeOnly }: Import): boolean {
  const own = folderOf(from);
  if (!inside || own === 'main.ts' || own === 'agent.ts') return false;
  const target = folderOf(to);
  if (target === own || open.has(target)) return false;
  if (own.endsWith('.ts')) return to !== '../package.json';
  if (['env.ts', 'version.ts', 'make-folder.ts', 'plain-file.ts'].includes(target)) return !rims.has(own);
  const rule = allowed[own];
  return !(rule?.values.includes(target) || (typeOnly && rule?.types?.includes(target)));
}

const show = ({ from, to }: Import): string => `${from} -> ${to}`;

test('there is something to look at', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(imports.filter(({ inside }) => inside).length).toBeGreaterThan(files.length);
  const folders = new Set(files.map(folderOf).filter((name) => !name.endsWith('.ts')));
  expect([...folders].sort()).toEqual(Object.keys(allowed).sort());
  expect(imports.filter(({ to, inside }) => inside && !textOf.has(to) && to !== '../package.json').map(show)).toEqual(
    [],
  );
});

const refusedAs = (from: string, to: string, typeOnly = false): boolean =>
  refused({ from, to, inside: true, typeOnly, lazy: false });

test('the rule itself', () => {
  const bad = [
    ['net/a.ts', 'mesh/b.ts'],
    ['cli/a.ts', 'kernel/b.ts'],
    ['kernel/a.ts', 'mesh/b.ts'],
    ['version.ts', 'mesh/a.ts'],
    ['mesh/a.ts', 'env.ts'],
  ] as const;
  expect(bad.filter(([from, to]) => !refusedAs(from, to))).toEqual([]);
  const good = [
    ['cli/a.ts', 'tasks/b.ts'],
    ['mesh/a.ts', 'errors.ts'],
    ['main.ts', 'cli/a.ts'],
    ['kernel/a.ts', 'abi/b.ts'],
  ] as const;
  expect(good.filter(([from, to]) => refusedAs(from, to))).toEqual([]);
  expect([refusedAs('admin/a.ts', 'mesh/b.ts', true), refusedAs('admin/a.ts', 'mesh/b.ts')]).toEqual([false, true]);
});

test('every folder imports only what it may', () => {
  expect(imports.filter(refused).map(show)).toEqual([]);
});

test('docs/architecture.md says the same', () => {
  const page = readFileSync(join(src, '../docs/architecture.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `src\/(\w+)` \|.*\| (.*) \|$/gm)];
  const said = rows.map(([, folder, may]) => [folder, [...(may ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name)]);
  const ruled = Object.entries(allowed).map(([folder, { values, types = [] }]) => [
    folder,
    [...values, ...types].filter((name) => !name.endsWith('.ts')),
  ]);
  const sorted = (table: readonly unknown[][]) =>
    Object.fromEntries(table.map(([name, may]) => [name, [...(may as string[])].sort()]));
  expect(sorted(said)).toEqual(sorted(ruled));
});

test('pure folders import nothing of node, and no clock, environment or process', () => {
  const ours = imports.filter(({ from }) => pure.has(folderOf(from)));
  expect(ours.filter(({ to, inside, typeOnly }) => !inside && to.startsWith('node:') && !typeOnly).map(show)).toEqual(
    [],
  );
  const ambient = /\b(process|performance|setTimeout|setInterval|globalThis|fetch|Buffer)\b\s*[.(]/;
  const users = files.filter((file) => pure.has(folderOf(file)) && ambient.test(code(file)));
  expect(users).toEqual([]);
});

test('process.env, process.exit, Date.now and console only at the roots', () => {
  const roots = new Set(['main.ts', 'env.ts', 'agent.ts', 'cli/gen/main.ts', 'demo/client.ts', 'demo/server.ts']);
  const ambient = /\bprocess\.(env|exit|argv|exitCode)\b|\bDate\.now\b|\bconsole\.|\bnew Date\(\)/;
  expect(files.filter((file) => !roots.has(file) && ambient.test(code(file)))).toEqual([]);
});

test('only the FFI modules know koffi, only the command adapter commander, only src/kube the client library', () => {
  const users = (name: string) => files.filter((file) => new RegExp(`'${name}'`).test(code(file)));
  expect(users('koffi')).toEqual(['kernel/libbpf.ts', 'kernel/libc.ts']);
  expect(users('commander')).toEqual(['cli/command.ts']);
  expect(users('@kubernetes/client-node')).toEqual(['kube/kubeconfig.ts', 'kube/rest.ts']);
  // It is large: whoever needs it loads it then.
  const client = imports.filter(({ to }) => to === '@kubernetes/client-node');
  expect(client.filter(({ typeOnly, lazy }) => !typeOnly && !lazy).map(show)).toEqual([]);
});

test('no import cycles', () => {
  expect(cycles()).toEqual([]);
});

/** Text without comments. */
function code(file: string): string {
  return (textOf.get(file) ?? '').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

/** Each cycle once, as a path of files. Lazy imports count: they only move the knot to run time. So do types: nobody can read one file without the other. */
function cycles(): string[] {
  const targets = new Map(
    files.map((file) => [file, importsOf(file).flatMap(({ to, inside }) => (inside ? [to] : []))]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      found.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      return;
    }
    if (done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}
