// SPDX-License-Identifier: Apache-2.0
// Runs the agent in this process until it is told to stop.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LogLevel } from '../admin/types.ts';
import type { AgentPlane } from '../agent/guard.ts';
import { withLock } from '../agent/lock.ts';
import { faultFacts, type Log, openLog } from '../agent/log.ts';
import { giveBackMemory } from '../agent/memory.ts';
import type { SourceOpening } from '../agent/sources.ts';
import { serviceManager } from '../agent/systemd.ts';
import { type Agent, startAgent } from '../agent.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupMount, cgroupPath } from '../kernel/cgroup.ts';
import { openNotify } from '../kernel/notify.ts';
import { isLoaded, openPinned } from '../kernel/pinned.ts';
import { swap } from '../kernel/swap.ts';
import { isWhole, recover } from '../kernel/swap-recovery.ts';
import type { ListenAddress } from '../net/socket-address.ts';
import { folderSourceName, openFolderSource } from '../source/file/folder-source.ts';
import { version } from '../version.ts';
import { loadPrograms } from './load.ts';
import type { SizeOptions } from './size-options.ts';

export interface RunAgentOptions extends SizeOptions {
  readonly place: Place;
  /** Files and folders; '-' is standard input. */
  readonly config: readonly string[];
  /** Default: the host's name. */
  readonly node?: string;
  readonly logLevel?: LogLevel;
  /** Milliseconds between two full comparisons (default 60 s); 0: never. */
  readonly healInterval?: number;
  /** Where metrics and health are served (default: nowhere). */
  readonly metrics?: ListenAddress;
}

const defaultHealInterval = 60_000;
/** Whoever holds the lock now may be in the middle of an upgrade. */
const recoveryWaitMs = 30_000;

/** By then the first configuration is in the kernel, as a rule. */
const settledMs = 10_000;

/** Resolves once env.signal is aborted and everything is closed. SIGHUP reads all files again. The log goes to standard error. */
export async function runAgent(env: Env, options: RunAgentOptions): Promise<{ readonly stopped: true }> {
  const log = openLog(env.stderr, options.logLevel ?? 'info', { node: options.node ?? env.hostname() });
  // From here on a SIGHUP is a wish to read again, also before there is anything to read.
  const agent: { running?: Agent; hungUp: boolean } = { hungUp: false };
  const stopListening = env.onHangup?.(() => {
    agent.hungUp = true;
    if (agent.running) void hangUp(agent.running, log);
  });
  let settled: NodeJS.Timeout | undefined;
  try {
    agent.running = await open(env, options, log);
    if (agent.hungUp) void hangUp(agent.running, log);
    settled = setTimeout(giveBackMemory, settledMs).unref();
    await aborted(env.signal);
  } finally {
    clearTimeout(settled);
    stopListening?.();
    await agent.running?.close();
  }
  return { stopped: true };
}

function open(env: Env, options: RunAgentOptions, log: Log): Promise<Agent> {
  const { place } = options;
  const node = options.node ?? env.hostname();
  const mount = cgroupMount();
  const manager = serviceManager({
    getenv: (name) => env.getenv(name),
    open: openNotify,
    monotonic: () => process.hrtime.bigint(),
    pid: process.pid,
    onFault: (fault) => log.warn(faultFacts(fault), 'the service manager cannot be told'),
  });
  return startAgent({
    runDir: place.runDir,
    node,
    version,
    log,
    manager,
    now: () => env.now(),
    healInterval: options.healInterval ?? defaultHealInterval,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    openPlane: () => openOrLoad(env, options, log, '"kmeshctl upgrade" swaps them in place'),
    reopenPlane: () => openOrLoad(env, options, log, 'restart the agent with that version'),
    recoverPlane: () => void recover(place.bpffs),
    async growPlane(sizes) {
      requireOwn(place, 'restart the agent with that version').close();
      await swap({ bpffs: place.bpffs, version, now: env.now(), sizes });
      return openPinned(place.bpffs);
    },
    sources: [folderOpening(env, options, log)],
    cgroupExists: (id) => cgroupPath(id, mount) !== undefined,
  });
}

function folderOpening(env: Env, { config, place }: RunAgentOptions, log: Log): SourceOpening {
  return {
    name: folderSourceName(config),
    open: (tell) =>
      openFolderSource({
        paths: config,
        stdin: env.stdin,
        log,
        tell,
        addresses: join(place.runDir, 'addresses.json'),
        ...threadOption(),
      }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}

async function hangUp(agent: Agent, log: Log): Promise<void> {
  try {
    const { changes, faults } = await agent.reload();
    log.info({ changes, faults: faults.length }, 'configuration read again');
  } catch (fault) {
    log.error(faultFacts(fault), 'configuration could not be read again');
  }
}

/** What is pinned, after loading it when nothing is. KM_VERSION_MISMATCH when another version is loaded. */
async function openOrLoad(env: Env, options: RunAgentOptions, log: Log, hint: string): Promise<AgentPlane> {
  const { place } = options;
  if (!isWhole(place.bpffs)) {
    // Programs may read maps other than those that are pinned in their place.
    const asked = { command: 'kmeshctl agent', waitMs: recoveryWaitMs };
    const outcome = await withLock(place.runDir, asked, () => recover(place.bpffs));
    if (outcome !== 'nothing') log.warn({ bpffs: place.bpffs }, `a swap that was cut short is ${outcome}`);
  }
  if (!isLoaded(place.bpffs)) {
    const { summary } = await loadPrograms(env, { ...options, dryRun: false });
    log.info({ bpffs: place.bpffs }, summary);
  }
  return requireOwn(place, hint);
}

/** Opens the pins if this version loaded them. */
function requireOwn({ bpffs }: Place, hint: string): AgentPlane {
  const plane = openPinned(bpffs);
  if (plane.version.version === version) return plane;
  const loaded = plane.version.version;
  plane.close();
  throw new KmeshError(
    'KM_VERSION_MISMATCH',
    `programs of kmeshctl ${loaded} are loaded under "${bpffs}", this is ${version}`,
    { hint },
  );
}

/** The reading thread's script lies beside the bundle; from the sources everything is read in this thread. */
function threadOption(): { readonly thread?: URL } {
  const script = new URL('parse-worker.js', import.meta.url);
  return existsSync(fileURLToPath(script)) ? { thread: script } : {};
}
