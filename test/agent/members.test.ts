// SPDX-License-Identifier: Apache-2.0
// Enrolled cgroups get the ids of their workloads after every batch, at little cost when nothing of it changed.
import { beforeEach, expect, test } from 'vitest';
import { writeEnrolments } from '../../src/agent/enrolments.ts';
import { openMemberSync, pruneMembers, type WorkloadIds } from '../../src/agent/members.ts';
import { type MemoryDataPlane, openMemory } from '../../src/kernel/memory.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { workload } from '../mesh/make.ts';

let plane: MemoryDataPlane;
let local: Map<string, Workload>;
let known: Map<string, number>;
let searches: number;
let time: number;
let isRead: boolean;
let sync: (plane: MemoryDataPlane) => void;
let prune: (exists: (cgroupId: bigint) => boolean) => number;

beforeEach(() => {
  plane = openMemory();
  local = new Map();
  known = new Map();
  searches = 0;
  time = 0;
  isRead = true;
  const ids: WorkloadIds = {
    local,
    get known() {
      return isRead;
    },
    idOf: (uid) => known.get(uid),
    all() {
      searches++;
      return new Map([...known].map(([uid, id]) => [id, uid]));
    },
  };
  sync = openMemberSync(ids, () => time);
  prune = (exists) => pruneMembers(plane, ids, exists);
});

const enrol = (...names: readonly string[]) =>
  writeEnrolments(
    plane,
    new Map(
      names.map((name, i) => {
        const cgroupId = BigInt(i + 1);
        return [cgroupId, { cgroupId, level: 2, workload: name, netns: 0n, authz: false, sinceNs: 1n }];
      }),
    ),
    () => 0,
  );
const idOf = (cgroupId: bigint) => plane.map('enrolled').get(cgroupId)?.workload_id;
const runs = (name: string, id?: number) => {
  const uid = `c//Pod/shop/${name}`;
  local.set(uid, workload(uid, { name }));
  if (id !== undefined) known.set(uid, id);
};

test('the id of a workload of this node is written once it has one, and when it gets another', () => {
  runs('a');
  enrol('shop/a', '');
  sync(plane);
  expect(idOf(1n)).toBe(0);
  runs('a', 7);
  sync(plane);
  expect([idOf(1n), idOf(2n)]).toEqual([7, 0]);
  runs('a', 8);
  sync(plane);
  expect(idOf(1n)).toBe(8);
});

test('what is enrolled later is seen, in another data plane too', () => {
  runs('a', 7);
  sync(plane);
  enrol('shop/a');
  sync(plane);
  expect(idOf(1n)).toBe(7);
  plane = openMemory();
  enrol('shop/a');
  sync(plane);
  expect(idOf(1n)).toBe(7);
});

test('while nothing changed nothing is read but the counter of enrolments', () => {
  runs('a', 7);
  enrol('shop/a');
  sync(plane);
  const map = plane.map.bind(plane);
  const read: string[] = [];
  plane.map = (name) => {
    read.push(name);
    return map(name);
  };
  sync(plane);
  expect(read).toEqual(['level']);
});

test('a name that no workload of this node has is searched for among all, now and then', () => {
  enrol('shop/far');
  sync(plane);
  const first = searches;
  expect(first).toBeGreaterThan(0);
  known.set('c//Pod/shop/far', 9);
  time = 1_000;
  sync(plane);
  expect([searches, idOf(1n)]).toEqual([first, 0]);
  time = 6_000;
  sync(plane);
  expect(idOf(1n)).toBe(9);
});

test('before the kernel was read what an earlier agent wrote stays: a pod without its id would be nobody to waypoints', () => {
  runs('a', 7);
  enrol('shop/a', 'shop/b');
  sync(plane);
  expect(idOf(1n)).toBe(7);
  isRead = false;
  known.clear();
  local.clear();
  sync(plane);
  expect(prune(() => false)).toBe(0);
  expect(idOf(1n)).toBe(7);
  isRead = true;
  expect(prune((id) => id === 1n)).toBe(1);
});
