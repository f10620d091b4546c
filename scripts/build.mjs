// SPDX-License-Identifier: Apache-2.0
// Builds dist/: the TypeScript bundle (split into chunks, so that a command loads only what it needs) and the BPF objects.
// Quick when nothing changed. Flags: --no-bpf, --force.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stampFile = join(dist, '.bundle');
const flags = new Set(process.argv.slice(2));

/** dist/NAME.js -> source. Those that do not exist are left out. */
const programs = {
  main: 'src/main.ts',
  'demo-client': 'src/demo/client.ts',
  'demo-server': 'src/demo/server.ts',
  gen: 'src/cli/gen/main.ts',
  bench: 'bench/main.ts',
};

/** Stay in node_modules: native, or rarely needed and large. What is loaded at each start is quicker from the bundle. */
const external = ['koffi', 'pino', '@kubernetes/client-node'];

function* filesUnder(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesUnder(path);
    else yield path;
  }
}

/** Name, size and time of everything that goes into the bundle. */
function inputsStamp() {
  const hash = createHash('sha256');
  const folders = ['src', 'bench'].map((name) => join(root, name)).filter((path) => existsSync(path));
  const files = [...folders.flatMap((folder) => [...filesUnder(folder)])];
  files.push(join(root, 'package.json'), join(root, 'package-lock.json'), fileURLToPath(import.meta.url));
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Threads have files of their own: any src/…/NAME-worker.ts becomes dist/NAME-worker.js. */
function entryPoints() {
  const entries = Object.fromEntries(Object.entries(programs).filter(([, source]) => existsSync(join(root, source))));
  for (const file of filesUnder(join(root, 'src'))) {
    if (file.endsWith('-worker.ts')) entries[basename(file, '.ts')] = relative(root, file);
  }
  return entries;
}

/**
 * commander can start other programs as subcommands. There are none, and what that needs of node shows in the
 * start time of `--help`.
 */
const withoutSubprograms = {
  name: 'without-subprograms',
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/commander/') ? { path: 'none', namespace: 'none' } : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'none' }, () => ({ contents: 'module.exports = {}' }));
  },
};

async function bundle() {
  const stamp = inputsStamp();
  if (!flags.has('--force') && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    process.stdout.write('bundle: up to date\n');
    return;
  }
  const { build } = await import('esbuild');
  const started = performance.now();
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: entryPoints(),
    outdir: 'dist',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    chunkNames: 'chunk-[hash]',
    external,
    plugins: [withoutSubprograms],
    // CommonJS inside the bundle asks for node's own modules by require.
    banner: { js: "import{createRequire as $r}from'node:module';const require=$r(import.meta.url);" },
    logLevel: 'warning',
    write: false,
  });
  mkdirSync(dist, { recursive: true });
  for (const { path, contents } of outputFiles) writeFileSync(path, contents);
  // Old chunks go last, so that a program that starts meanwhile finds a whole set.
  const made = new Set(outputFiles.map(({ path }) => basename(path)));
  for (const name of readdirSync(dist)) {
    if (name.endsWith('.js') && !made.has(name)) rmSync(join(dist, name));
  }
  writeFileSync(stampFile, stamp);
  process.stdout.write(`bundle: ${outputFiles.length} files in ${Math.round(performance.now() - started)} ms\n`);
}

await bundle().catch((fault) => {
  // esbuild has told its own faults.
  if (fault.errors === undefined) throw fault;
  process.exit(1);
});
if (!flags.has('--no-bpf')) await import('./build-bpf.mjs');
