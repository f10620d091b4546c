// SPDX-License-Identifier: Apache-2.0
// The doctor: can this machine run the mesh, and is what is there sound? Every finding says what to do.
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockHolder } from '../agent/lock.ts';
import type { Env, Place } from '../env.ts';
import { cgroupMount, isTrueRoot } from '../kernel/cgroup.ts';
import { hookPrograms, otherPlanes } from '../kernel/hook-programs.ts';
import { checkPins } from '../kernel/pin-check.ts';
import { isLoaded } from '../kernel/pinned.ts';
import { onBpffs, refuseHiding } from '../kernel/pins.ts';
import { type Feature, probeCapabilities, probeKernel, probeLibbpf } from '../kernel/probe.ts';
import { pinnedPrograms } from '../kernel/programs.ts';
import { resolveCgroupRoot } from './cgroup-path.ts';
import { podChecks } from './check-pods.ts';
import { type Check, failed, ok, tried, warning } from './finding.ts';

export type { Check } from './finding.ts';

export interface CheckOptions {
  readonly place: Place;
  /** Only what is not well. */
  readonly short: boolean;
}

export interface CheckGroup {
  readonly title: string;
  readonly checks: readonly Check[];
}

export interface CheckResult {
  /** Nothing failed; there may be warnings. */
  readonly ok: boolean;
  readonly groups: readonly CheckGroup[];
}

const newerKernel = 'Linux 6.5 or newer, with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_DEBUG_INFO_BTF';

function featureCheck(kind: string, feature: Feature): Check {
  const what = `${kind} ${feature.name}`;
  if (feature.present) return ok(what);
  const why = feature.reason ?? 'not there';
  return feature.without === undefined
    ? failed(what, why, `this kernel cannot run the mesh: ${newerKernel}`)
    : warning(what, why, `without it ${feature.without}`);
}

function kernelChecks(): Check[] {
  const facts = probeKernel();
  return [
    ok('Linux', facts.release),
    facts.btf
      ? ok('type information of the kernel', '/sys/kernel/btf/vmlinux')
      : failed('type information of the kernel', 'no /sys/kernel/btf/vmlinux', 'a kernel with CONFIG_DEBUG_INFO_BTF'),
    facts.jit
      ? ok('JIT compiler')
      : warning('JIT compiler', 'off', 'sysctl net.core.bpf_jit_enable=1: programs are several times slower without'),
    ...facts.hooks.map((f) => featureCheck('hook', f)),
    ...facts.mapTypes.map((f) => featureCheck('map type', f)),
    ...facts.helpers.map((f) => featureCheck('helper', f)),
    ...facts.functions.map((f) => featureCheck('kernel function', f)),
  ];
}

function capabilityChecks(): Check[] {
  return probeCapabilities().map(({ name, held, use }) =>
    held ? ok(name, use) : failed(name, `not held: needed to ${use}`, 'run as root, or give the capability'),
  );
}

function mountChecks(place: Place): Check[] {
  return [
    tried('bpffs', () => {
      if (onBpffs(place.bpffs)) return ok('bpffs', place.bpffs);
      refuseHiding(dirname(place.bpffs));
      return warning('bpffs', `none at ${place.bpffs}`, '"kmeshctl load" mounts one');
    }),
    tried('cgroup2', () => ok('cgroup2', cgroupMount())),
    tried('root of the cgroup hierarchy', () => {
      const mount = cgroupMount();
      return isTrueRoot(mount)
        ? ok('root of the cgroup hierarchy', mount)
        : failed(
            'root of the cgroup hierarchy',
            `"${mount}" shows only a part of it`,
            "run in the host's cgroup namespace",
          );
    }),
    tried('cgroup root', () => {
      const root = resolveCgroupRoot(place);
      return isTrueRoot(root)
        ? ok('cgroup root', root)
        : warning('cgroup root', `${root} is below the true root`, 'only processes below it can be in the mesh');
    }),
  ];
}

function limitChecks(): Check[] {
  const text = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined);
  const files = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const stats = text('/proc/sys/kernel/bpf_stats_enabled');
  return [
    Number(files) >= 1024 ? ok('open files', files) : warning('open files', `${files}`, 'ulimit -n 1024 or more'),
    stats === '1'
      ? warning('statistics of programs', 'on', 'sysctl kernel.bpf_stats_enabled=0: they cost every run some 30 ns')
      : ok('statistics of programs', 'off'),
  ];
}

/** Programs of others on our hooks run too: before or after ours, and what they rewrite is not what the application asked for. */
function hookChecks(place: Place): Check[] {
  const root = resolveCgroupRoot(place);
  const found = hookPrograms(root);
  const own = new Set(isLoaded(place.bpffs) ? pinnedPrograms(place.bpffs).map(({ id }) => id) : []);
  const others = otherPlanes(root, own);
  const hooks = [...new Set(found.map((p) => p.hook))];
  if (hooks.length === 0) return [ok('programs on the same hooks', 'none')];
  const shared =
    others.length === 0
      ? []
      : [
          failed(
            'other data planes',
            `another one of kmeshctl is attached to ${root}: both translate what is dialled there`,
            'unload one of them, with its own --bpffs',
          ),
        ];
  const each = hooks.map((hook) => {
    const here = found.filter((p) => p.hook === hook);
    const order = here.map((p) => `${p.name}${own.has(p.id) ? ' (ours)' : ` (id ${p.id})`}`).join(', then ');
    const others = here.filter((p) => !own.has(p.id));
    return others.length === 0
      ? ok(`hook ${hook}`, order)
      : warning(`hook ${hook}`, order, 'another program sees or rewrites the same calls: make sure that the two agree');
  });
  return [...shared, ...each];
}

function pinChecks(place: Place): Check[] {
  if (!isLoaded(place.bpffs)) return [ok('programs', `none are loaded under ${place.bpffs}`)];
  const state = checkPins(place.bpffs);
  return [
    ok('programs', `kmeshctl ${state.version?.version ?? 'unknown'}, ${state.links.length} programs attached`),
    ...state.faults.map((fault) => failed('pins', fault, 'kmeshctl upgrade, or kmeshctl unload --force and load')),
    ...state.leftovers.map((path) =>
      warning('leftovers', `${path}: a load or swap was cut short`, 'the next load or upgrade clears up'),
    ),
    ...(state.faults.length === 0 ? [ok('pins and their layout')] : []),
  ];
}

function agentChecks(place: Place): Check[] {
  const holder = lockHolder(place.runDir, 'agent.lock');
  return [holder ? ok('agent', `pid ${holder.pid}`) : ok('agent', 'none is running: the data plane works on as it is')];
}

/** Runs every check. With `short` only warnings and failures are listed. */
export async function checkNode(env: Env, options: CheckOptions): Promise<CheckResult> {
  const { place, short } = options;
  const libbpf = probeLibbpf();
  const library: Check =
    'version' in libbpf
      ? ok('libbpf', libbpf.version)
      : failed('libbpf', libbpf.fault.message, libbpf.fault.hint ?? 'apt-get install libbpf1');
  const groups: CheckGroup[] = [{ title: 'This process', checks: [library, ...capabilityChecks()] }];
  groups.push({ title: 'Mounts', checks: mountChecks(place) }, { title: 'Limits', checks: limitChecks() });
  if ('version' in libbpf && env.isRoot()) {
    groups.push(
      { title: 'Kernel', checks: kernelChecks() },
      { title: 'Pins', checks: pinChecks(place) },
      { title: 'Hooks', checks: hookChecks(place) },
      { title: 'Authorization', checks: podChecks(place) },
    );
  }
  groups.push({ title: 'Agent', checks: agentChecks(place) });
  const good = groups.every(({ checks }) => checks.every(({ state }) => state !== 'failed'));
  if (!short) return { ok: good, groups };
  const bad = groups.map(({ title, checks }) => ({ title, checks: checks.filter(({ state }) => state !== 'ok') }));
  return { ok: good, groups: bad.filter(({ checks }) => checks.length > 0) };
}
