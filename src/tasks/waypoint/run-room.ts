// SPDX-License-Identifier: Apache-2.0
// What a waypoint's proxy runs in: a folder, a cgroup that is enrolled as a waypoint. One for each waypoint and run directory; whoever
// comes after one that was killed removes what that left.
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Lock, takeLock } from '../../agent/lock.ts';
import type { Log } from '../../agent/log.ts';
import type { Env, Place } from '../../env.ts';
import { KmeshError, messageOf } from '../../errors.ts';
import { resolveCgroupRoot } from '../cgroup-path.ts';
import { enrollCgroup } from '../enroll.ts';
import type { AuthzChoice } from '../judged-network.ts';
import { killCgroup, removeCgroup } from '../own-cgroup.ts';
import { unenrollCgroup } from '../unenroll.ts';

export interface Room {
  readonly cgroup: string;
  /** The proxy's working directory. */
  readonly folder: string;
  /** The same by a short name that is good within this process: paths of sockets have 107 bytes at most. */
  readonly near: string;
  /** Says to whoever comes next that this one ends, within so many milliseconds. */
  ending(ms: number): void;
  /** Ends what is in the cgroup, takes it out of the mesh, removes everything. */
  close(): Promise<void>;
}

export interface RoomOptions {
  readonly place: Place;
  readonly namespace: string;
  readonly name: string;
  /** Path of the network namespace. */
  readonly netns: string;
  readonly authz: AuthzChoice;
  /** Whom the folder belongs to. */
  readonly user: { readonly uid: number; readonly gid: number };
  readonly log: Log;
}

/** @throws KmeshError KM_BUSY when the waypoint is run already. */
export async function openRoom(env: Env, options: RoomOptions): Promise<Room> {
  const { place, namespace, name, netns, authz, user, log } = options;
  const id = `${namespace}.${name}`;
  const home = join(place.runDir, 'waypoints', id);
  const folder = join(home, 'proxy');
  const cgroup = join(resolveCgroupRoot(place), `kmesh-waypoint-${id}`);
  const lock = await takeHome(env, home, `kmeshctl waypoint run ${name} -n ${namespace}`, log);
  rmSync(join(home, endingFile), { force: true });
  let near: number | undefined;
  const close = async (): Promise<void> => {
    try {
      await removeEnrolled(env, place, cgroup);
    } finally {
      if (near !== undefined) closeSync(near);
      rmSync(home, { recursive: true, force: true });
      lock.release();
      removeEmpty(dirname(home));
    }
  };
  try {
    if (existsSync(cgroup)) {
      log.warn({ cgroup }, 'what an earlier run left is removed');
      await removeEnrolled(env, place, cgroup);
    }
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 });
    near = openSync(folder, 'r');
    chownSync(folder, user.uid, user.gid);
    mkdirSync(cgroup);
    await enrollCgroup(env, { place, cgroup, netns, authz, waypoint: true, dryRun: false });
    const ending = (ms: number): void => {
      try {
        writeFileSync(join(home, endingFile), String(env.now() + ms + leaveMs));
      } catch (error) {
        log.warn({ reason: messageOf(error) }, 'a run that comes next cannot be told to wait');
      }
    };
    return { cgroup, folder, near: `/proc/self/fd/${near}`, ending, close };
  } catch (fault) {
    await close();
    if (fault instanceof KmeshError) throw fault;
    throw new KmeshError('KM_IO', `the waypoint has no place: ${messageOf(fault)}`, { cause: fault });
  }
}

/** In its folder: until when the one that runs there will have ended. */
const endingFile = 'ending';
/** What it takes to leave, beside what its clients are given. */
const leaveMs = 10_000;
/** A signal to end was perhaps sent just before. */
const graceMs = 1000;
/** Between two looks at one that ends. */
const pollMs = 50;

/** Waits for one that ends, and for nobody else. */
async function takeHome(env: Env, home: string, command: string, log: Log): Promise<Lock> {
  let deadline = env.now() + graceMs;
  let told = false;
  for (;;) {
    try {
      return await takeLock(home, { command, waitMs: 0 });
    } catch (fault) {
      // The one before removes the folder as its last act.
      if (isGone(fault) && env.now() < deadline && !env.signal.aborted) {
        await pause(pollMs);
        continue;
      }
      if (!(fault instanceof KmeshError) || fault.code !== 'KM_BUSY') throw fault;
      const until = endOf(home);
      deadline = until ?? deadline;
      if (env.signal.aborted || env.now() >= deadline) {
        throw new KmeshError('KM_BUSY', fault.message, {
          cause: fault,
          hint: 'a waypoint is run once on a node; another beside it needs its own --run-dir and --cgroup-root',
        });
      }
      if (until !== undefined && !told) log.info({ reason: fault.message }, 'waits for the run before, which ends');
      told ||= until !== undefined;
      await pause(pollMs);
    }
  }
}

const isGone = (fault: unknown): boolean =>
  fault instanceof KmeshError && (fault.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';

function endOf(home: string): number | undefined {
  try {
    return Number(readFileSync(join(home, endingFile), 'utf8'));
  } catch {
    return undefined;
  }
}

/** What runs there is killed first: it is a waypoint to its end. */
async function removeEnrolled(env: Env, place: Place, cgroup: string): Promise<void> {
  if (!existsSync(cgroup)) return;
  killCgroup(cgroup);
  try {
    await unenrollCgroup(env, { place, cgroup, dryRun: false });
  } catch (fault) {
    // Programs that are unloaded have forgotten it.
    const known = fault instanceof KmeshError && ['KM_NOT_ENROLLED', 'KM_NOT_LOADED'].includes(fault.code);
    if (!known) throw fault;
  } finally {
    await removeCgroup(cgroup);
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Other waypoints run.
  }
}
