// SPDX-License-Identifier: Apache-2.0
// Compiles bpf/**/NAME.bpf.c into dist/bpf/NAME.bpf.o (bpf/tests into dist/bpf/tests). Quick when nothing changed. Flag: --force.
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const sources = join(root, 'bpf');
const out = join(root, 'dist', 'bpf');
const stampFile = join(out, '.stamp');

const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
/** Debian names tools by version; without a number it is the default of that release. 14 is what the programs are tested with. */
const versions = ['', '-14', '-15', '-16', '-17', '-18', '-19'];

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

const files = [...filesUnder(sources)].filter((path) => /\.[ch]$/.test(path)).sort();
const programs = files.filter((path) => path.endsWith('.bpf.c'));

/** dist/bpf/NAME.bpf.o */
function targetOf(source) {
  const folder = dirname(source) === join(sources, 'tests') ? join(out, 'tests') : out;
  return join(folder, basename(source).replace(/c$/, 'o'));
}

/** What the objects are made from; not the compiler's version, since asking for it takes longer than all the rest. */
function inputsStamp() {
  const hash = createHash('sha256').update(process.arch).update(readFileSync(self));
  for (const path of files) hash.update(`\0${relative(root, path)}\0`).update(readFileSync(path));
  return hash.digest('hex');
}

function fail(message, hint) {
  process.stderr.write(`error: ${message}\n${hint ? `hint: ${hint}\n` : ''}`);
  process.exit(1);
}

/** The tool under the first of its names that runs. */
function findTool(name) {
  const found = versions.find((v) => spawnSync(`${name}${v}`, ['--version'], { stdio: 'ignore' }).status === 0);
  if (found === undefined) fail(`"${name}" not found`, 'apt-get install clang llvm libbpf-dev');
  return `${name}${found}`;
}

/** <linux/types.h> needs <asm/types.h>, which Debian keeps in a folder named by machine. */
const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch;
const includes = ['-Ibpf/include', '-Ibpf', '-idirafter', `/usr/include/${machine}-linux-gnu`];
/** The objects carry source paths in their line info: the same wherever the project lies. */
const paths = [`-fdebug-prefix-map=${root}=.`];

/** Written beside the target, then renamed: a reader sees the old object or the new one. DWARF goes, BTF stays. */
async function compile(clang, strip, source) {
  const run = promisify(execFile);
  const target = targetOf(source);
  const fresh = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    await run(clang, [...flags, ...includes, ...paths, '-c', relative(root, source), '-o', fresh], { cwd: root });
    await run(strip, ['-g', fresh]);
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { force: true });
  }
}

async function build() {
  const clang = findTool('clang');
  const strip = findTool('llvm-strip');
  rmSync(stampFile, { force: true });
  const results = await Promise.allSettled(programs.map((source) => compile(clang, strip, source)));
  const failed = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failed) process.stderr.write(`${reason.stderr || reason.message}\n`);
  if (failed.length > 0) fail(`${failed.length} of ${programs.length} BPF programs do not compile`);
}

const stamp = inputsStamp();
const current = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
if (current && !process.argv.includes('--force') && programs.every((source) => existsSync(targetOf(source)))) {
  process.stdout.write('bpf: up to date\n');
} else {
  await build();
  writeFileSync(stampFile, stamp);
  process.stdout.write(`bpf: ${programs.length} objects\n`);
}
