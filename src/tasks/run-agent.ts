// SPDX-License-Identifier: Apache-2.0
// Runs the agent in this process until it is told to stop.
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { LogLevel } from '../admin/types.ts';
import { type FolderClaim, openFolderClaim } from '../agent/claim.ts';
import { compileLater } from '../agent/compiler.ts';
import type { AgentPlane } from '../agent/guard.ts';
import { withLock } from '../agent/lock.ts';
import { faultFacts, type Log, openLog } from '../agent/log.ts';
import { giveBackMemory } from '../agent/memory.ts';
import { serviceManager } from '../agent/systemd.ts';
import { type Agent, startAgent } from '../agent.ts';
import { defaultAuthzOptions } from '../compile/authz/holding.ts';
import type { Env, Place } from '../env.ts';
import { KmeshError } from '../errors.ts';
import { cgroupMount, cgroupPath } from '../kernel/cgroup.ts';
import { openNotify } from '../kernel/notify.ts';
import { isLoaded, openPinned } from '../kernel/pinned.ts';
import { swap } from '../kernel/swap.ts';
import { isWhole, recover } from '../kernel/swap-recovery.ts';
import { noLocality } from '../mesh/workload.ts';
import type { ListenAddress } from '../net/socket-address.ts';
import { version } from '../version.ts';
import { type NodeSettings, readNodeSettings, type SourceOptions, sourceOpenings } from './agent-sources.ts';
import { loadPrograms } from './load.ts';
import type { SizeOptions } from './size-options.ts';
import { type AdsFlags, adsFlag, adsTls, checkAds } from './waypoint/ads-flags.ts';

export interface RunAgentOptions extends SizeOptions, SourceOptions, AdsFlags {
  readonly logLevel?: LogLevel;
  /** End an agent that runs here already. */
  readonly takeOver?: boolean;
  /** Milliseconds between two full comparisons (default 60 s); 0: never. */
  readonly healInterval?: number;
  /** Where metrics and health are served (default: nowhere). */
  readonly metrics?: ListenAddress;
  /** Whether connections from the node's own addresses pass all policies (default) or are judged. */
  readonly authzHostProbes?: 'allow' | 'deny';
  /** What a policy does whose last version is refused (default: keep). */
  readonly onBadPolicy?: 'keep' | 'close';
  /** Closes what a DENY policy holds for that rests on HTTP attributes. */
  readonly strictL7Deny?: boolean;
}

const upgradeHint = '"kmeshctl upgrade" swaps them in place';
const restartHint = 'restart the agent with that version';
const defaultHealInterval = 60_000;
/** Whoever holds the lock now may be in the middle of an upgrade. */
const recoveryWaitMs = 30_000;

/** By then the first configuration is in the kernel, as a rule. */
const settledMs = 10_000;

/**
 * Resolves once env.signal is aborted, or another agent takes over, and everything is closed. SIGHUP reads everything again. The log goes to
 * standard error.
 */
export async function runAgent(env: Env, options: RunAgentOptions): Promise<{ readonly stopped: true }> {
  compileLater();
  const settings = readNodeSettings(env, options);
  checkAds(options, settings);
  const log = openLog(env.stderr, options.logLevel ?? 'info', { node: settings.node });
  const takeOver = options.takeOver === true;
  // Who cannot go on with what is loaded ends nobody.
  if (takeOver && isWhole(options.place.bpffs) && isLoaded(options.place.bpffs))
    requireOwn(options.place, upgradeHint).close();
  const claim = openFolderClaim(options.place.bpffs, { log, takeOver });
  const stopping = new AbortController();
  // From here on a SIGHUP is a wish to read again, also before there is anything to read.
  const agent: { running?: Agent; hungUp: boolean } = { hungUp: false };
  const stopListening = env.onHangup?.(() => {
    agent.hungUp = true;
    if (agent.running) void hangUp(agent.running, log);
  });
  let settled: NodeJS.Timeout | undefined;
  try {
    agent.running = await open(env, options, { settings, log, claim, stop: () => stopping.abort() });
    if (agent.hungUp) void hangUp(agent.running, log);
    settled = setTimeout(giveBackMemory, settledMs).unref();
    await aborted(AbortSignal.any([env.signal, stopping.signal]));
  } finally {
    clearTimeout(settled);
    stopListening?.();
    await agent.running?.close();
    claim.close();
  }
  return { stopped: true };
}

interface Running {
  readonly settings: NodeSettings;
  readonly log: Log;
  readonly claim: FolderClaim;
  readonly stop: () => void;
}

async function open(env: Env, options: RunAgentOptions, { settings, log, claim, stop }: Running): Promise<Agent> {
  const { place } = options;
  const { node, view, xds } = settings;
  const mount = cgroupMount();
  const manager = serviceManager({
    getenv: (name) => env.getenv(name),
    open: openNotify,
    monotonic: () => process.hrtime.bigint(),
    pid: process.pid,
    onFault: (fault) => log.warn(faultFacts(fault), 'the service manager cannot be told'),
  });
  const ads = options.waypointAds;
  return startAgent({
    ...(ads && {
      async openWaypoints() {
        // Brings gRPC along, which few agents need for that.
        const { openWaypointAds } = await import('./waypoint/listen.ts');
        return openWaypointAds({
          ...{ where: ads, log, flag: adsFlag, now: () => env.now() },
          view: { node, network: view.network ?? '', clusterId: view.clusterId ?? '', locality: noLocality },
          socket: join(place.runDir, 'waypoint-ads.sock'),
          tls: adsTls(options),
          requireGrants: options.waypointAdsRequireGrants === true,
        });
      },
    }),
    runDir: place.runDir,
    node,
    version,
    log,
    manager,
    now: () => env.now(),
    healInterval: options.healInterval ?? defaultHealInterval,
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
    openPlane: () => openOrLoad(env, options, { log, claim, hint: upgradeHint }),
    reopenPlane: () => openOrLoad(env, options, { log, claim, hint: restartHint }),
    recoverPlane: () => void recover(place.bpffs),
    async growPlane(sizes) {
      requireOwn(place, restartHint).close();
      await swap({ bpffs: place.bpffs, version, now: env.now(), sizes });
      return openPinned(place.bpffs);
    },
    view,
    ...(xds?.onDemand && {
      onDemand: { onMiss: options.onMiss ?? 'direct', network: xds.node.network, clusterId: xds.node.clusterId },
    }),
    sources: await sourceOpenings(env, options, settings, log),
    takeOver: options.takeOver === true,
    stop,
    cgroupExists: (id) => cgroupPath(id, mount) !== undefined,
    interfaces: networkInterfaces,
    authz: {
      ...defaultAuthzOptions,
      onBadPolicy: options.onBadPolicy ?? defaultAuthzOptions.onBadPolicy,
      strictL7Deny: options.strictL7Deny ?? defaultAuthzOptions.strictL7Deny,
      exemptHost: options.authzHostProbes !== 'deny',
    },
  });
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

/** What is pinned, after loading it when nothing is. KM_AGENT_RUNNING when it is another agent's, KM_VERSION_MISMATCH when another version is loaded. */
async function openOrLoad(
  env: Env,
  options: RunAgentOptions,
  { log, claim, hint }: Pick<Running, 'log' | 'claim'> & { readonly hint: string },
): Promise<AgentPlane> {
  const { place } = options;
  await claim.hold();
  if (!isWhole(place.bpffs)) {
    // Programs may read maps other than those that are pinned in their place.
    const asked = { command: 'kmeshctl agent', waitMs: recoveryWaitMs };
    const outcome = await withLock(place.runDir, asked, () => recover(place.bpffs));
    if (outcome !== 'nothing') log.warn({ bpffs: place.bpffs }, `a swap that was cut short is ${outcome}`);
  }
  if (!isLoaded(place.bpffs)) {
    const { summary } = await loadPrograms(env, { ...options, dryRun: false });
    log.info({ bpffs: place.bpffs }, summary);
    await claim.hold();
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
