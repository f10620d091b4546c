// SPDX-License-Identifier: Apache-2.0
// A stock Envoy as a process: found, started with no more rights than it needs, asked, ended.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { accessSync, closeSync, constants as files, openSync, realpathSync, renameSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { constants as system } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { Env } from '../../env.ts';
import { KmeshError } from '../../errors.ts';
import { adminSocket } from './run-bootstrap.ts';
import type { Room } from './run-room.ts';

export interface Program {
  readonly path: string;
  /** "1.40.0" */
  readonly version: string;
}

const hint =
  'install Envoy, or name its program with --proxy PATH; "npm start" in a clone fetches one, .cache/envoy/envoy';
const isProgram = (path: string): boolean => {
  try {
    accessSync(path, files.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

/** The program named, else "envoy" in PATH. */
export async function findProxy(env: Env, named: string | undefined): Promise<Program> {
  const folders = (env.getenv('PATH') ?? '').split(delimiter).filter(Boolean);
  const path =
    named === undefined ? folders.map((folder) => join(folder, 'envoy')).find(isProgram) : resolve(env.cwd(), named);
  if (path === undefined) throw new KmeshError('KM_PROXY', '"envoy" was not found in PATH', { hint });
  if (!isProgram(path)) throw new KmeshError('KM_PROXY', `"${path}" is no program that can be run`, { hint });
  const said = await ask(path, ['--version']);
  // "envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL"
  const version = /version: \w*\/(\d[^/]*)\//.exec(said)?.[1];
  if (version !== undefined) return { path, version };
  const line = said.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
  throw new KmeshError('KM_PROXY', `"${path}" is no Envoy${line === '' ? '' : `: its --version says "${line}"`}`, {
    hint,
  });
}

/** Everything that it says, whatever its exit code is. */
function ask(program: string, args: readonly string[]): Promise<string> {
  return new Promise((done) => {
    execFile(program, args, { timeout: 20_000 }, (error, out, err) => done(`${out}${err}` || (error?.message ?? '')));
  });
}

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** UID, UID:GID, or a name that the machine knows. */
export async function readUser(text: string): Promise<User> {
  const [, uid, gid = uid] = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(text) ?? [];
  if (uid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  const known = /^[a-z_][\w.-]*$/i.test(text);
  const [u = '', g = ''] = known ? await Promise.all([ask('id', ['-u', text]), ask('id', ['-g', text])]) : [];
  if (/^\d+\n$/.test(u) && /^\d+\n$/.test(g)) return { uid: Number(u), gid: Number(g) };
  throw new KmeshError('KM_USAGE', `--user: "${text}" is no user here`, { hint: 'give a name, UID or UID:GID' });
}

/** Whether others than root get at a program: its folders may be closed to them. */
function isOpenToAll(path: string): boolean {
  const file = realpathSync(path);
  if ((statSync(file).mode & 0o005) !== 0o005) return false;
  for (let at = dirname(file); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

export interface StartOptions {
  readonly program: Program;
  readonly args: readonly string[];
  readonly room: Room;
  /** Path of the network namespace; undefined: this process's. */
  readonly netns: string | undefined;
  readonly user: User;
  /** It is to listen on a port below 1024. */
  readonly lowPort: boolean;
  /** Where it logs. */
  readonly log: Writable;
}

export interface ProxyProcess {
  readonly pid: number;
  readonly ended: Promise<{ readonly code: number; readonly text: string }>;
  /** The last thing that it complained of; '' when there is none. */
  complaint(): string;
  /** Its answer on the admin interface. */
  admin(path: string, method?: 'GET' | 'POST'): Promise<string>;
  /** Leaves the name of its admin interface to the one that comes next. */
  stepAside(): void;
  kill(signal: NodeJS.Signals): void;
}

/** Joins the cgroup before anything else, so that every socket is made inside. */
const enter = 'echo 0 > "$1" && cd "$2" || exit 125; shift 2; exec "$@"';

/** The descriptor that a program without an open path is handed over as. */
const inherited = 3;

/** Who runs it: nobody by default, without capabilities, and none to be had. It dies with this process: nobody else would tell it anything. */
function rights({ uid, gid }: User, lowPort: boolean): string[] {
  const only = lowPort ? '-all,+net_bind_service' : '-all';
  return [
    ...['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=${only}`, `--ambient-caps=${only}`, `--bounding-set=${only}`, '--pdeathsig', 'KILL', '--'],
  ];
}

export function startProxy(options: StartOptions): ProxyProcess {
  const { program, args, room, netns, user, lowPort, log } = options;
  const handed = isOpenToAll(program.path) ? undefined : openSync(program.path, 'r');
  const path = handed === undefined ? program.path : `/proc/self/fd/${inherited}`;
  const inside = netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
  const words = [...inside, ...rights(user, lowPort), path, ...args];
  const child = spawn('/bin/sh', ['-c', enter, 'sh', join(room.cgroup, 'cgroup.procs'), room.folder, ...words], {
    stdio: ['ignore', 'pipe', 'pipe', ...(handed === undefined ? [] : [handed])],
    // A terminal's signals are for this process, which ends it in its own way.
    detached: true,
  });
  if (handed !== undefined) closeSync(handed);
  const heard = listen(child, log);
  let socket = join(room.near, adminSocket);
  return {
    pid: child.pid ?? 0,
    ended: new Promise((done) => {
      child.once('error', (error) => done({ code: 127, text: error.message }));
      child.once('exit', (code, signal) =>
        done({
          code: code ?? 128 + (signal === null ? 0 : system.signals[signal]),
          text: signal === null ? `exit code ${code}` : `killed by ${signal}`,
        }),
      );
    }),
    complaint: () => heard.complaint,
    admin: (where, method = 'GET') => askAdmin(socket, where, method),
    stepAside() {
      const aside = join(room.near, `admin-${child.pid}.sock`);
      try {
        renameSync(socket, aside);
        socket = aside;
      } catch {
        // It has ended, and was never asked anything.
      }
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** Passes on what it writes. */
function listen(child: ChildProcess, log: Writable): { complaint: string } {
  const heard = { complaint: '' };
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.on('data', (part: Buffer) => {
      log.write(part);
      const lines = (rest + part.toString()).split('\n');
      rest = lines.pop()?.slice(-1000) ?? '';
      // What is said before it has a log, and what its log calls serious.
      const telling = lines.filter((line) => line !== '' && !/\]\[(trace|debug|info|warning)\]\[/.test(line));
      heard.complaint = telling.at(-1)?.replace(/^(\[[^\]]*\])+ */, '') ?? heard.complaint;
    });
  }
  return heard;
}

const adminMs = 10_000;

function askAdmin(socketPath: string, path: string, method: string): Promise<string> {
  return new Promise((done, fail) => {
    const call = request({ socketPath, path, method, agent: false, timeout: adminMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.once('error', fail);
      response.once('end', () =>
        response.statusCode === 200 ? done(text) : fail(new Error(`${path}: ${response.statusCode} ${text}`)),
      );
    });
    call.once('timeout', () => call.destroy(new Error('no answer')));
    call.once('error', fail);
    call.end();
  });
}
