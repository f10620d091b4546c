// SPDX-License-Identifier: Apache-2.0
// Folders of small objects with every map, compiled for one test.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const includes = ['bpf/include', 'bpf'].map((folder) => `-I${join(root, folder)}`);
const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as 'x64' | 'arm64'] ?? process.arch;
const flags = [
  '-O2',
  '-g',
  '-target',
  'bpf',
  '-mcpu=v3',
  ...includes,
  '-idirafter',
  `/usr/include/${machine}-linux-gnu`,
];

export interface TinyObjects {
  /** A folder with test/kernel/objects/tiny.bpf.c compiled with these definitions ("REASON=3") and the shared types. */
  folder(...definitions: readonly string[]): string;
  /** Compiles one more source, given as text, into a folder. */
  add(folder: string, name: string, source: string): void;
  close(): void;
}

function clang(): string {
  for (const name of ['clang', 'clang-14', 'clang-15', 'clang-16', 'clang-17', 'clang-18', 'clang-19']) {
    try {
      execFileSync(name, ['--version'], { stdio: 'ignore' });
      return name;
    } catch {
      // Debian names it by version.
    }
  }
  throw new Error('clang is not installed');
}

export function openTinyObjects(): TinyObjects {
  const compiler = clang();
  const parent = mkdtempSync(join(tmpdir(), 'km-objects-'));
  const compile = (folder: string, name: string, input: string, args: readonly string[], text?: string) => {
    const out = join(folder, `${name}.bpf.o`);
    execFileSync(compiler, [...flags, ...args, '-x', 'c', '-c', input, '-o', out], { input: text ?? '' });
  };
  return {
    folder(...definitions) {
      const folder = mkdtempSync(join(parent, 'set-'));
      compile(folder, 'abi_check', join(root, 'bpf/abi_check.bpf.c'), []);
      const source = join(root, 'test/kernel/objects/tiny.bpf.c');
      compile(
        folder,
        'tiny',
        source,
        definitions.map((d) => `-D${d}`),
      );
      return folder;
    },
    add: (folder, name, source) => compile(folder, name, '-', [], source),
    close: () => rmSync(parent, { recursive: true, force: true }),
  };
}
