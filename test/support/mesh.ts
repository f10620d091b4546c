// SPDX-License-Identifier: Apache-2.0
// A mesh for tests of the data plane: pods, loaded programs, and a way to say what should be in the kernel.
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Reason } from '../../src/abi/reasons.ts';
import { writeEnrolments } from '../../src/agent/enrolments.ts';
import { execute } from '../../src/agent/execute.ts';
import type { Enrolment } from '../../src/compile/enrolment.ts';
import { emptyImage, type Image, type Leftovers, settle } from '../../src/compile/image.ts';
import { sizesOf } from '../../src/compile/pins.ts';
import type { WantedClient, WantedPort } from '../../src/compile/wanted.ts';
import { type Lab, openLab, type Pod, type StartOptions } from '../../src/demo/lab.ts';
import { cgroupId, cgroupLevel, cgroupMount } from '../../src/kernel/cgroup.ts';
import type { PinnedDataPlane } from '../../src/kernel/pinned.ts';
import type { MapSizes } from '../../src/kernel/sizes.ts';
import { finish } from '../../src/mesh/steps.ts';
import { openInstance } from './instance.ts';
import { labName, removeLeftovers } from './leftovers.ts';
import { planAll } from './plans.ts';
import { type Python, startPython, startServer } from './python.ts';
import { backendOf, clientOf, frontendsOf, portOf, type ServiceSpec, uidOf } from './wanted.ts';

export interface EnrollOptions {
  /** Namespace of the workload as a client; default "shop". */
  readonly namespace?: string;
  /** '' enrolls the cgroup without a workload. */
  readonly workload?: '';
  /** Enrolled as a waypoint. */
  readonly waypoint?: true;
  /** Said to be in the network of the node. */
  readonly hostNetwork?: true;
}

export interface Counted<T> {
  readonly value: T;
  /** What was counted meanwhile, without zeros. */
  readonly reasons: Partial<Readonly<Record<Reason, number>>>;
}

export interface Mesh {
  readonly lab: Lab;
  readonly plane: PinnedDataPlane;
  readonly image: Image;
  pod(name: string): Pod;
  serve(pod: string, ...specs: readonly string[]): Promise<{ stop(): Promise<void> }>;
  python(pod: string, options?: StartOptions): Promise<Python>;
  /** Enrolls a pod's cgroup, again with other options. Its cgroup id. */
  enroll(pod: string, options?: EnrollOptions): Promise<bigint>;
  unenroll(pod: string): Promise<void>;
  /** Makes these all the services there are. */
  want(...services: readonly ServiceSpec[]): Promise<void>;
  /** Makes these all the ports where waypoints read headers: "10.0.0.2:15088"; "[::1]:15088 node" of one on the node's network. */
  keep(...ports: readonly string[]): Promise<void>;
  /** Open connections to a pod. */
  active(pod: string): number;
  counting<T>(body: () => Promise<T>): Promise<Counted<T>>;
  /** The pod that a backend's table gives for a source hash. */
  tableChoice(backend: string, hash: number): string;
  /** Waits at most five seconds. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

export interface MeshOptions {
  /** Tells it from others of the same process. */
  readonly name?: string;
  readonly sizes?: MapSizes;
}

/**
 * Pods named so, with addresses 10.0.0.1, fd00::1 and so on in order, and programs loaded on the cgroup that theirs are in.
 * Whatever happens, close() leaves nothing.
 */
export async function openMesh(podNames: readonly string[], options: MeshOptions = {}): Promise<Mesh> {
  await removeLeftovers();
  const name = labName(options.name);
  const lab = await openLab(name, join(cgroupMount(), name));
  try {
    for (const [i, pod] of podNames.entries()) {
      await lab.addPod(pod, { address4: `10.0.0.${i + 1}`, address6: `fd00::${(i + 1).toString(16)}` });
    }
    const instance = await openInstance(lab.cgroupRoot, options.sizes);
    return meshOver(lab, instance.plane, async () => {
      await instance.close();
      await lab.close();
    });
  } catch (error) {
    await lab.close();
    throw error;
  }
}

function meshOver(lab: Lab, plane: PinnedDataPlane, close: () => Promise<void>): Mesh {
  const image = emptyImage(sizesOf(plane));
  const clients = new Map<string, WantedClient>();
  const ports = new Map<string, WantedPort>();
  const enrolled = new Map<bigint, Enrolment>();
  let services: readonly ServiceSpec[] = [];
  const graces: Promise<void>[] = [];
  const freed: Leftovers[] = [];

  const pod = (name: string): Pod => {
    const found = lab.pods.get(name);
    if (!found) throw new Error(`no pod is named ${name}`);
    return found;
  };
  const apply = async () => {
    for (const leftovers of freed.splice(0)) finish(settle(image, leftovers));
    const plan = planAll(image, {
      backends: new Map(services.map((spec) => [spec.name, backendOf(spec)])),
      frontends: frontendsOf(services),
      clients,
      ports,
    });
    for (const refusal of plan.refused) throw new Error(refusal.reason);
    if (plan.udpFrontends > 0) plane.setUdpHooks(true);
    await execute(plane, plan.ops, { skipLastGrace: true });
    const leftovers = finish(plan.commit());
    // What is in the kernel counts at once; what it replaced is used again only after the grace period, and nobody waits for that.
    graces.push(plane.grace().then(() => void freed.push(leftovers)));
  };
  const idOf = (uid: string) => image.ids.workload.idOf(uid) ?? 0;
  const counts = () => new Map(plane.reasons());

  return {
    lab,
    plane,
    image,
    pod,
    serve: (name, ...specs) => startServer(pod(name), ...specs),
    python: (name, options) => startPython(pod(name), options),
    async enroll(name, options = {}) {
      const { cgroup } = pod(name);
      const uid = options.workload ?? uidOf(name);
      const { hostNetwork = false, namespace = 'shop' } = options;
      if (uid) clients.set(uid, { ...clientOf(pod(name), namespace), hostNetwork });
      await apply();
      const id = cgroupId(cgroup);
      enrolled.set(id, {
        cgroupId: id,
        level: cgroupLevel(cgroup),
        workload: uid,
        netns: 0n,
        authz: false,
        ...(options.waypoint && { waypoint: true }),
        sinceNs: 0n,
      });
      writeEnrolments(plane, enrolled, idOf);
      return id;
    },
    async unenroll(name) {
      const id = cgroupId(pod(name).cgroup);
      enrolled.delete(id);
      writeEnrolments(plane, enrolled, idOf);
      clients.delete(uidOf(name));
      await apply();
    },
    async want(...specs) {
      services = specs;
      await apply();
    },
    async keep(...kept) {
      ports.clear();
      for (const text of kept) {
        const [key = '', node] = text.split(' ');
        ports.set(key, portOf(key, node !== undefined));
      }
      await apply();
    },
    active(name) {
      const id = idOf(uidOf(name));
      return id === 0 ? 0 : Number(plane.map('active').get(id)?.connections ?? 0n);
    },
    async counting(body) {
      const before = counts();
      const value = await body();
      const reasons: Partial<Record<Reason, number>> = {};
      for (const [reason, n] of counts()) {
        const more = Number(n - (before.get(reason) ?? 0n));
        if (more !== 0) reasons[reason] = more;
      }
      return { value, reasons };
    },
    tableChoice(backend, hash) {
      const held = image.backends.get(backend);
      if (!held) throw new Error(`no backend is named ${backend}`);
      const header = plane.header(held.first);
      const at = hash % header.maglev_size;
      const index = plane.map('maglev').get(header.maglev_first + (at >> 1))?.index[at & 1] ?? 0;
      const slot = plane.map('endpoint').get(held.first + 1 + index);
      return (
        image.ids.workload
          .nameOf(slot?.workload_id ?? 0)
          ?.split('/')
          .at(-1) ?? ''
      );
    },
    async until(condition) {
      for (const end = performance.now() + 5000; !condition(); await pause(10)) {
        if (performance.now() > end) throw new Error(`not within five seconds: ${condition}`);
      }
    },
    async close() {
      await Promise.all(graces);
      await close();
    },
  };
}
