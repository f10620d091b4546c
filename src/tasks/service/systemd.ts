// SPDX-License-Identifier: Apache-2.0
// The service manager of this machine, and where it looks for units.
import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KmeshError } from '../../errors.ts';

/** Where an administrator's units are. */
export const unitFolder = '/etc/systemd/system';
/** Where drop-ins of a unit may be, besides. */
const dropInFolders = [unitFolder, '/etc/systemd/system.control', '/run/systemd/system', '/run/systemd/system.control'];

export const wantsFolder = join(unitFolder, 'multi-user.target.wants');

/** Folders with drop-ins of `unit` that there are. */
export const dropInsOf = (root: string, unit: string): string[] =>
  dropInFolders.map((folder) => join(root, folder, `${unit}.d`)).filter((path) => existsSync(path));

/** The root of the first process; undefined when it is not shown to us. */
function firstRoot(): { readonly dev: number; readonly ino: number } | undefined {
  try {
    return statSync('/proc/1/root');
  } catch {
    return undefined;
  }
}

/** systemd runs here and sees the files that we see: not so in a chroot, and in most containers. */
export function systemdRuns(): boolean {
  if (!existsSync('/run/systemd/system')) return false;
  const [own, first] = [statSync('/'), firstRoot()];
  return first === undefined || (own.dev === first.dev && own.ino === first.ino);
}

/** @throws KmeshError KM_SERVICE with what systemctl said. */
export function systemctl(...words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('systemctl', words, (cause, _out, err) => {
      if (!cause) return resolve();
      const said = err.trim().split('\n')[0] ?? '';
      const message = `"systemctl ${words.join(' ')}" failed${said === '' ? '' : `: ${said}`}`;
      reject(new KmeshError('KM_SERVICE', message, { hint: '"journalctl -u kmeshctl-load -u kmeshctl-agent"', cause }));
    });
  });
}

export async function isActive(unit: string): Promise<boolean> {
  return systemctl('is-active', '--quiet', unit).then(
    () => true,
    () => false,
  );
}
