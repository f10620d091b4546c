// SPDX-License-Identifier: Apache-2.0
// A lab: "pods" on one machine. Each is a network namespace with addresses and a cgroup; everything goes at close().
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Address } from '../net/address.ts';
import { makeCgroup, removeCgroupTree } from './cgroup-tree.ts';
import { makePodNetwork, makeSwitch, netnsPath, type PodAddresses, removeNetwork } from './network.ts';
import { follow, type Running } from './process.ts';

export interface Pod {
  readonly name: string;
  readonly address4: Address | '';
  readonly address6: Address | '';
  /** Path of its network namespace. */
  readonly netns: string;
  /** Path of its cgroup. */
  readonly cgroup: string;
  /** Starts a command inside. Its session is its own; with `log` (a file descriptor) output goes there and it may outlive us. */
  start(command: string, args: readonly string[], options?: StartOptions): Running;
}

export interface StartOptions {
  /** Descriptor for stdout and stderr; without it both are pipes and stdin is one, too. */
  readonly log?: number;
  /** Another cgroup than the pod's. */
  readonly cgroup?: string;
}

export interface Lab {
  readonly name: string;
  readonly cgroupRoot: string;
  readonly pods: ReadonlyMap<string, Pod>;
  /** @throws KmeshError KM_NETNS or KM_CGROUP; what was made of the pod is removed by close(). */
  addPod(name: string, addresses: PodAddresses): Promise<Pod>;
  /** Kills what runs in a pod, removes its namespace and cgroup. */
  removePod(name: string): Promise<void>;
  /** Removes everything that was made, also after a failure half way. May be called again. */
  close(): Promise<void>;
}

/**
 * The shell that joins a cgroup, then a namespace, then becomes the command: a socket's cgroup is fixed when it is made,
 * so the process must be in place before the command runs.
 */
const enterScript = 'echo 0 > "$1/cgroup.procs" && netns=$2 && shift 2 && exec nsenter --net="$netns" -- "$@"';

function podOf(lab: string, cgroupRoot: string, name: string, addresses: PodAddresses): Pod {
  const netns = netnsPath(lab, name);
  const cgroup = join(cgroupRoot, name);
  return {
    name,
    address4: addresses.address4 ?? '',
    address6: addresses.address6 ?? '',
    netns,
    cgroup,
    start(command, args, options = {}) {
      const { log } = options;
      const stdio = log === undefined ? ('pipe' as const) : (['ignore', log, log] as const);
      const child = spawn('sh', ['-c', enterScript, 'sh', options.cgroup ?? cgroup, netns, command, ...args], {
        stdio: typeof stdio === 'string' ? stdio : [...stdio],
        detached: true,
      });
      if (log !== undefined) child.unref();
      return follow(child);
    },
  };
}

/**
 * Makes an empty lab: a namespace that will join the pods and a cgroup that will hold theirs.
 *
 * @param name begins the name of everything made; unique on the machine, e.g. "kmesh-demo-4711".
 * @param cgroupRoot a cgroup2 directory to make; its parent exists.
 * @throws KmeshError KM_NETNS or KM_CGROUP; nothing is left then.
 */
export async function openLab(name: string, cgroupRoot: string): Promise<Lab> {
  const pods = new Map<string, Pod>();
  let ports = 0;
  const close = async () => {
    pods.clear();
    await removeLab(name, cgroupRoot);
  };
  try {
    await makeCgroup(cgroupRoot);
    await makeSwitch(name);
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
  return {
    name,
    cgroupRoot,
    pods,
    async addPod(podName, addresses) {
      const pod = podOf(name, cgroupRoot, podName, addresses);
      await makeCgroup(pod.cgroup);
      await makePodNetwork(name, podName, ports++, addresses);
      pods.set(podName, pod);
      return pod;
    },
    async removePod(podName) {
      const pod = pods.get(podName);
      pods.delete(podName);
      if (pod) await removeCgroupTree(pod.cgroup);
      await removeNetwork(name, podName);
    },
    close,
  };
}

/** Removes a lab by its names alone, whatever of it exists. Both parts are tried. @throws the first failure. */
export async function removeLab(name: string, cgroupRoot: string): Promise<void> {
  const results = [
    // Processes first: a namespace lives on as long as one is in it.
    await settle(removeCgroupTree(cgroupRoot)),
    await settle(removeNetwork(name)),
  ];
  for (const failure of results) if (failure !== undefined) throw failure;
}

const settle = (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** True while a process with that id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
