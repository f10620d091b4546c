// SPDX-License-Identifier: Apache-2.0
// Another version of kmeshctl, made from these sources with some lines changed, and built in a folder of its own.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const parts = ['bpf', 'bin', 'scripts', 'src', 'package.json', 'package-lock.json', 'tsconfig.json'];

/** In `file`, `from` (which must be there) becomes `to`. */
export interface Edit {
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
}

export interface OtherBuild {
  /** Its bin/kmeshctl.js; there is none with `onlyObjects`. */
  readonly program: string;
  /** Its folder of objects. */
  readonly objects: string;
  close(): void;
}

/** Copies, edits, builds. @throws when an edit finds nothing to change, and what the build says. */
export function buildOther(edits: readonly Edit[], { onlyObjects = false } = {}): OtherBuild {
  const folder = mkdtempSync(join(tmpdir(), 'km-other-'));
  const close = () => rmSync(folder, { recursive: true, force: true });
  try {
    for (const part of parts) cpSync(join(root, part), join(folder, part), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    for (const { file, from, to } of edits) {
      const path = join(folder, file);
      const text = readFileSync(path, 'utf8');
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`${file} holds no ${from}`);
      writeFileSync(path, changed);
    }
    execFileSync(process.execPath, [join('scripts', onlyObjects ? 'build-bpf.mjs' : 'build.mjs')], { cwd: folder });
    return { program: join(folder, 'bin/kmeshctl.js'), objects: join(folder, 'dist/bpf'), close };
  } catch (error) {
    close();
    throw error;
  }
}
