// SPDX-License-Identifier: Apache-2.0
// The two units of a node as text. docs/running.md says why each line is there.
import { dirname } from 'node:path';
import type { Place } from '../../env.ts';
import { commandLine, quotePath } from './quote.ts';

export const loadUnit = 'kmeshctl-load.service';
export const agentUnit = 'kmeshctl-agent.service';

/**
 * Of the agent's node. Collecting young objects stops the event loop while those in use are copied; a first load uses nearly all of them. Megabytes
 * for young objects: with 16, node's own choice, it takes up to 10 ms at a time and at times twice in a row, with 4 up to 5 ms and no more in all. With
 * 2 it is 3 ms, but each time all that is held is looked over, which changes of a large mesh would feel. A second thread for it takes more CPU than
 * it saves time. Megabytes of old objects from which on they are collected at first: below, a first load only marks what stays.
 */
export const nodeFlags: readonly string[] = [
  '--max-semi-space-size=4',
  '--no-parallel-scavenge',
  '--initial-old-space-size=160',
];

export interface UnitOptions {
  readonly node: string;
  readonly program: string;
  readonly place: Place;
  /** Words for `load`: sizes of maps. */
  readonly loadWords: readonly string[];
  /** Words for `agent`, sizes among them. */
  readonly agentWords: readonly string[];
  /** Files and folders that the agent reads. */
  readonly reads: readonly string[];
}

type Line = readonly [name: string, value: string];

/** What starts containers: pods find the programs in place. */
const before = [
  ...['kubelet.service', 'containerd.service', 'crio.service', 'docker.service'],
  ...['k3s.service', 'k3s-agent.service', 'rke2-server.service', 'rke2-agent.service'],
];

/**
 * What a trial showed to be needed. CAP_SYS_ADMIN is, to enter network namespaces, and holds CAP_BPF, CAP_PERFMON and what of
 * CAP_NET_ADMIN loading and attaching takes. The others: cgroups by their ids, the namespaces of pods' processes, ending handshakes, and
 * taking a connection off lo so that its peer is told of its end.
 */
const loadCapabilities = ['CAP_SYS_ADMIN'];
const agentCapabilities = [
  ...loadCapabilities,
  'CAP_DAC_READ_SEARCH',
  'CAP_SYS_PTRACE',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
];

/** Nothing here gives the process a view of mounts of its own: a bpffs that `load` mounts is everybody's. */
const confined: readonly Line[] = [
  ['NoNewPrivileges', 'yes'],
  ['RestrictNamespaces', 'net'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['SystemCallArchitectures', 'native'],
  ['UMask', '0077'],
];

/** Services' usual calls without those for administrators, and these. */
const calls = (...more: readonly string[]): readonly Line[] => [
  ['SystemCallFilter', '@system-service'],
  ['SystemCallFilter', '~@privileged @resources'],
  ['SystemCallFilter', more.join(' ')],
  ['SystemCallErrorNumber', 'EPERM'],
];

const within = (folders: readonly string[], paths: readonly string[]): boolean =>
  paths.some((path) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)));

const mounts = ({ bpffs, cgroupRoot }: Place): Line[] => [
  ['RequiresMountsFor', [dirname(bpffs), ...(cgroupRoot === '' ? [] : [cgroupRoot])].map(quotePath).join(' ')],
];

const placeWords = ({ bpffs, cgroupRoot, runDir }: Place): string[] => [
  ...['--bpffs', bpffs, '--run-dir', runDir],
  ...(cgroupRoot === '' ? [] : ['--cgroup-root', cgroupRoot]),
];

type Section = readonly [name: string, lines: readonly Line[]];

function unitText(what: string, sections: readonly Section[]): string {
  const written = sections.map(([name, lines]) => `\n[${name}]\n${lines.map(([key, v]) => `${key}=${v}\n`).join('')}`);
  return `# ${what} Written by "kmeshctl install --target node"; "kmeshctl uninstall --target node" removes it.\n${written.join('')}`;
}

function loadText({ node, program, place, loadWords }: UnitOptions): string {
  const words = [node, program, 'load', '--or-upgrade', ...placeWords(place), ...loadWords];
  return unitText('Loads the programs at boot, before anything starts containers.', [
    ['Unit', [['Description', 'kmeshctl: programs in the kernel'], ['Before', before.join(' ')], ...mounts(place)]],
    [
      'Service',
      [
        ['Type', 'oneshot'],
        ['RemainAfterExit', 'yes'],
        ['ExecStart', commandLine(words)],
        // A node boots without the mesh rather than not at all.
        ['TimeoutStartSec', '2min'],
        ['CapabilityBoundingSet', loadCapabilities.join(' ')],
        ...confined,
        ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
        ...calls('bpf', '@mount'),
      ],
    ],
    ['Install', [['WantedBy', 'multi-user.target']]],
  ]);
}

function agentText({ node, program, place, agentWords, reads }: UnitOptions): string {
  const used = [node, program, ...reads];
  const home = within(['/home', '/root', '/run/user'], used) ? 'read-only' : 'yes';
  const temporary = within(['/tmp', '/var/tmp'], used) ? 'no' : 'yes';
  return unitText('Keeps the kernel as the configuration and the control plane say.', [
    [
      'Unit',
      [
        ['Description', 'kmeshctl: agent'],
        ['Wants', loadUnit],
        ['After', `${loadUnit} network.target`],
        ['StartLimitIntervalSec', '0'],
        ...mounts(place),
      ],
    ],
    [
      'Service',
      [
        ['Type', 'notify'],
        ['ExecStart', commandLine([node, ...nodeFlags, program, 'agent', ...placeWords(place), ...agentWords])],
        ['ExecReload', '/bin/kill -HUP $MAINPID'],
        ['Restart', 'always'],
        ['RestartSec', '2s'],
        // The command line makes no sense: it will not the next time.
        ['RestartPreventExitStatus', '2'],
        ['TimeoutStartSec', '2min'],
        ['TimeoutStopSec', '30s'],
        ['WatchdogSec', '1min'],
        ['OOMScoreAdjust', '-900'],
        ['RuntimeDirectory', quotePath(place.runDir.slice('/run/'.length))],
        ['RuntimeDirectoryMode', '0700'],
        // Commands and the next agent find there what this one left.
        ['RuntimeDirectoryPreserve', 'yes'],
        ['CapabilityBoundingSet', agentCapabilities.join(' ')],
        ...confined,
        ['ProtectSystem', 'strict'],
        ['ProtectProc', 'invisible'],
        ['ProtectHome', home],
        ['PrivateTmp', temporary],
        ['PrivateDevices', 'yes'],
        ['ProtectClock', 'yes'],
        ['ProtectHostname', 'yes'],
        ['ProtectKernelLogs', 'yes'],
        ['ProtectKernelModules', 'yes'],
        ['ProtectControlGroups', 'yes'],
        // ProtectKernelTunables would have the bpffs among what it protects.
        ['ReadOnlyPaths', '/proc/sys /sys'],
        ['ReadWritePaths', quotePath(`-${dirname(place.bpffs)}`)],
        ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
        ...calls('bpf', 'setns', 'open_by_handle_at'),
      ],
    ],
    ['Install', [['WantedBy', 'multi-user.target']]],
    // systemd reads over sections that begin so: `uninstall` learns from it which programs are this service's.
    ['X-Kmeshctl', Object.entries(place).map(([key, value]) => [key, JSON.stringify(value)] as const)],
  ]);
}

/** The place that the text of an agent's unit speaks of; undefined when it was not written by `install`. */
export function placeOf(text: string): Place | undefined {
  const section = text.split('\n[X-Kmeshctl]\n')[1];
  if (section === undefined) return undefined;
  const held = (key: keyof Place): string => {
    const value = new RegExp(`^${key}=(".*")$`, 'm').exec(section)?.[1];
    return value === undefined ? '' : String(JSON.parse(value));
  };
  const place = { bpffs: held('bpffs'), cgroupRoot: held('cgroupRoot'), runDir: held('runDir') };
  return place.bpffs === '' || place.runDir === '' ? undefined : place;
}

/** Name of each unit -> its text. */
export function unitTexts(options: UnitOptions): ReadonlyMap<string, string> {
  return new Map([
    [loadUnit, loadText(options)],
    [agentUnit, agentText(options)],
  ]);
}
