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

/** dist/NAME.js -> source: programs that share their chunks. A copy without the benches has none of theirs. */
const programs = {
  main: 'src/main.ts',
  gen: 'src/cli/gen/main.ts',
  ...(existsSync(join(root, 'bench')) && { bench: 'bench/main.ts' }),
};

/**
 * dist/NAME.js -> source: threads and processes that a program starts. One file each: what they shared with the program
 * would be cut out of its first chunk.
 */
const started = {
  'demo-client': 'src/demo/client.ts',
  'demo-server': 'src/demo/server.ts',
  'parse-worker': 'src/source/file/parse-worker.ts',
};

/** What every command line runs through: with what these import, the chunk that is loaded first. */
const first = ['src/env.ts', 'src/cli/fault.ts', 'src/cli/program.ts', 'src/cli/run.ts'];

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

const importLines = (paths) => paths.map((path) => `import ${JSON.stringify(path)};`).join('');

/**
 * esbuild puts two modules into one chunk when the same entry points and dynamic imports reach them. Left alone that cuts
 * what is needed first into ten files, which costs 5 ms of each start: here all others are made to reach all of it.
 */
const afterFirst = {
  name: 'after-first',
  setup(build) {
    const later = (path) => ({ path, namespace: 'later' });
    build.onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) =>
      kind === 'dynamic-import' ? later(join(resolveDir, path)) : undefined,
    );
    build.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === 'entry-point' && path !== programs.main ? later(join(root, path)) : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'later' }, ({ path }) => ({
      contents: `${importLines(first.map((file) => join(root, file)))}export * from ${JSON.stringify(path)};`,
      resolveDir: dirname(path),
    }));
  },
};

async function bundle() {
  const stamp = inputsStamp();
  if (!flags.has('--force') && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
    process.stdout.write('bundle: up to date\n');
    return;
  }
  const { build } = await import('esbuild');
  const begun = performance.now();
  const options = {
    absWorkingDir: root,
    outdir: 'dist',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    chunkNames: 'chunk-[hash]',
    external,
    // CommonJS inside the bundle asks for node's own modules by require.
    banner: { js: "import{createRequire as $r}from'node:module';const require=$r(import.meta.url);" },
    logLevel: 'warning',
    write: false,
  };
  const bundles = await Promise.all([
    build({ ...options, entryPoints: programs, splitting: true, plugins: [withoutSubprograms, afterFirst] }),
    build({ ...options, entryPoints: started }),
  ]);
  const outputFiles = bundles.flatMap((made) => made.outputFiles);
  mkdirSync(dist, { recursive: true });
  for (const { path, contents } of outputFiles) writeFileSync(path, contents);
  // Old chunks go last, so that a program that starts meanwhile finds a whole set.
  const made = new Set(outputFiles.map(({ path }) => basename(path)));
  for (const name of readdirSync(dist)) {
    if (name.endsWith('.js') && !made.has(name)) rmSync(join(dist, name));
  }
  writeFileSync(stampFile, stamp);
  process.stdout.write(`bundle: ${outputFiles.length} files in ${Math.round(performance.now() - begun)} ms\n`);
}

await bundle().catch((fault) => {
  // esbuild has told its own faults.
  if (fault.errors === undefined) throw fault;
  process.exit(1);
});
if (!flags.has('--no-bpf')) await import('./build-bpf.mjs');
