// SPDX-License-Identifier: Apache-2.0
// Makes kmeshctl a service of this machine, or of the image below a folder: two units, enabled and started.
import {
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Env, Place } from '../env.ts';
import { KmeshError, messageOf } from '../errors.ts';
import { loadedVersion } from '../kernel/pinned.ts';
import { makeFolder } from '../make-folder.ts';
import { version } from '../version.ts';
import { readNodeSettings, type SourceOptions } from './agent-sources.ts';
import type { ChangeResult, Step } from './change.ts';
import { installedFile } from './installed-file.ts';
import { isActive, systemctl, systemdRuns, unitFolder, wantsFolder } from './service/systemd.ts';
import { agentUnit, loadUnit, unitTexts } from './service/units.ts';
import { type AdsFlags, checkAds } from './waypoint/ads-flags.ts';

export interface InstallOptions {
  readonly place: Place;
  readonly dryRun: boolean;
  /** An image is made below this folder: its files only. Default: this machine. */
  readonly root?: string;
  /** What the agent will be told; the words that follow say the same. */
  readonly agent: Omit<SourceOptions, 'place'> & AdsFlags;
  readonly loadWords: readonly string[];
  readonly agentWords: readonly string[];
  /** Absolute paths that the agent reads. */
  readonly reads: readonly string[];
}

export interface InstallResult extends ChangeResult {
  /** What was, or would be, written. */
  readonly files: readonly { readonly path: string; readonly text: string }[];
}

interface Wanted {
  /** As the machine names it. */
  readonly path: string;
  readonly text?: string;
  readonly link?: string;
}

/** What a place in the file system is now, in the terms of Wanted. */
function isThere(at: string, { text, link }: Wanted): boolean {
  try {
    return lstatSync(at).isSymbolicLink() ? readlinkSync(at) === link : readFileSync(at, 'utf8') === text;
  } catch {
    return false;
  }
}

function make(at: string, { text, link }: Wanted): void {
  try {
    makeFolder(dirname(at));
    // Whole or not at all: systemd may read at any time.
    const fresh = `${at}.new`;
    rmSync(fresh, { force: true });
    if (link === undefined) writeFileSync(fresh, text ?? '', { mode: 0o644 });
    else symlinkSync(link, fresh);
    renameSync(fresh, at);
  } catch (cause) {
    throw new KmeshError('KM_IO', `"${at}" cannot be written: ${messageOf(cause)}`, { cause });
  }
}

/** A file of this installation as the machine that is meant will find it. */
function insideRoot(root: string, path: string): string {
  const below = relative(root, path);
  const inside = below.startsWith('..') ? path : `/${below}`;
  if (existsSync(join(root, inside))) return inside;
  throw new KmeshError('KM_NOT_FOUND', `"${inside}" is not in the image "${root}"`, {
    hint: 'put Node.js and kmeshctl there at the paths they have here, or run those of the image',
  });
}

const withoutEnvironment = (env: Env): Env =>
  Object.assign(Object.create(env), { environ: () => ({}), getenv: () => undefined });

/** The service's own directory is made by systemd, which does that below /run only. */
function requireRunDir(runDir: string): void {
  if (runDir.startsWith('/run/')) return;
  throw new KmeshError('KM_USAGE', `--run-dir of a service must be below /run, got "${runDir}"`);
}

function wantedFiles(options: InstallOptions, root: string, place: Place): Wanted[] {
  const texts = unitTexts({
    ...options,
    place,
    reads: withTargets(options.reads),
    node: insideRoot(root, process.execPath),
    program: insideRoot(root, installedFile('bin/kmeshctl.js')),
  });
  return [
    ...[...texts].map(([unit, text]) => ({ path: join(unitFolder, unit), text })),
    ...[...texts.keys()].map((unit) => ({ path: join(wantsFolder, unit), link: join(unitFolder, unit) })),
  ];
}

/** Paths with what they lead to: what is hidden from the service must not be on the way, nor at the end. */
const withTargets = (paths: readonly string[]): string[] =>
  paths.flatMap((path) => (existsSync(path) ? [path, realpathSync(path)] : [path]));

/** What has to be told to the service manager so that it runs what is written. */
async function commandsFor(changed: boolean, place: Place): Promise<string[][]> {
  const current = loadedVersion(place.bpffs)?.version === version;
  const runs = current && !changed && (await isActive(loadUnit)) && (await isActive(agentUnit));
  return [...(changed ? [['daemon-reload']] : []), ...(runs ? [] : [['restart', loadUnit, agentUnit]])];
}

/** Writes, enables and (where systemd runs) starts; a second time it changes nothing. */
export async function installNode(env: Env, options: InstallOptions): Promise<InstallResult> {
  const { dryRun } = options;
  const root = resolve(options.root ?? '/');
  const place = {
    bpffs: resolve(options.place.bpffs),
    cgroupRoot: options.place.cgroupRoot === '' ? '' : resolve(options.place.cgroupRoot),
    runDir: resolve(options.place.runDir),
  };
  requireRunDir(place.runDir);
  // What the agent would refuse is refused here; nobody's environment is the service's.
  checkAds(options.agent, readNodeSettings(withoutEnvironment(env), { ...options.agent, place }));
  const missing = wantedFiles(options, root, place).filter((wanted) => !isThere(join(root, wanted.path), wanted));
  const live = root === '/' && systemdRuns();
  const commands = live ? await commandsFor(missing.length > 0, place) : [];
  const steps: Step[] = [
    ...missing.map(({ path, link }) =>
      link === undefined
        ? { action: 'write', what: join(root, path) }
        : { action: 'enable', what: join(root, path), detail: `-> ${link}` },
    ),
    ...commands.map((words) => ({ action: 'run', what: `systemctl ${words.join(' ')}` })),
  ];
  const files = missing.flatMap(({ path, text }) => (text === undefined ? [] : [{ path: join(root, path), text }]));
  if (dryRun) return { dryRun, summary: 'nothing was changed', steps, files };
  for (const wanted of missing) make(join(root, wanted.path), wanted);
  for (const words of commands) await systemctl(...words);
  return { dryRun, summary: summaryOf(steps.length > 0, live), steps, files };
}

function summaryOf(changed: boolean, live: boolean): string {
  if (!changed) return live ? 'installed and running already' : 'installed already';
  return live
    ? 'installed, enabled and started'
    : 'installed and enabled; systemd does not run here, so that it starts at the next boot';
}
