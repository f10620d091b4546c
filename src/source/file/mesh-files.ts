// SPDX-License-Identifier: Apache-2.0
// Files as one mesh to ask questions of, without an agent: as `validate` reads them, and with pods that would be made where none are yet.
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileFault } from '../../errors.ts';
import { modelOf } from '../../mesh/apply.ts';
import type { Model } from '../../mesh/model.ts';
import { finish } from '../../mesh/steps.ts';
import type { Report } from '../findings.ts';
import { openBuilder } from './build/builder.ts';
import { podUid } from './build/workload.ts';
import { holdsCases } from './cases.ts';
import { openFolder } from './folder.ts';
import { readBytes } from './load.ts';
import {
  type AuthorizationPolicyObject,
  identityOf,
  type Labels,
  type MeshObject,
  type PeerAuthenticationObject,
  type PodObject,
} from './objects.ts';
import { type FileContents, unreadable } from './read.ts';
import { scanPaths, stdinName } from './scan.ts';
import { addressed, hasTemplate, templatePods } from './stand-ins.ts';
import { orderOf } from './validate.ts';

export type PolicyDocument = AuthorizationPolicyObject | PeerAuthenticationObject;

export interface FileMesh {
  readonly report: Report;
  /** Found in folders, and left out. */
  readonly caseFiles: readonly string[];
  readonly model: Model;
  /** In effect, refused ones included. */
  readonly policies: readonly PolicyDocument[];
  /** What selectors select among. */
  readonly labelled: readonly { readonly namespace: string; readonly labels: Labels }[];
  /** uids of workloads whose addresses nobody knows: those that they have stand in for them. */
  readonly unaddressed: ReadonlySet<string>;
  /** uids of those that somebody only speaks of. */
  readonly supposed: ReadonlySet<string>;
}

interface Options {
  /** Read when the paths name it as '-'. */
  readonly stdin: Readable;
  /** Real paths of files that are something else. */
  readonly except: ReadonlySet<string>;
  /** Pods that somebody speaks of. */
  readonly supposed: readonly PodObject[];
}

/** Never throws for what they hold or when they do not exist: those are faults. */
export async function readMeshFiles(paths: readonly string[], options: Options): Promise<FileMesh> {
  const scan = await scanPaths(paths, { pipes: true });
  const found = scan.files.filter(({ real }) => !options.except.has(real));
  const files = new Map<string, FileContents>();
  const templated: PodObject[] = [];
  const caseFiles: string[] = [];
  const take = (name: string, bytes: Uint8Array, inFolder = false) => {
    const text = new TextDecoder('utf-8').decode(bytes);
    if (inFolder && holdsCases(text)) {
      caseFiles.push(name);
      return;
    }
    files.set(name, readBytes(name, bytes));
    if (mayHaveTemplate.test(text)) templated.push(...templatePods(name, text));
  };
  for (const { name, path, root } of found) {
    try {
      take(name, await readFile(path), name !== paths[root]);
    } catch (error) {
      files.set(name, unreadable(name, fileFault(error)));
    }
  }
  for (const { name, reason } of scan.faults) files.set(name, unreadable(name, reason));
  if (paths.includes(stdinName)) take(stdinName, await buffer(options.stdin));

  const folder = openFolder();
  folder.order(orderOf(paths, found));
  const objects = new Map<string, MeshObject>();
  for (const [identity, object] of folder.update(files)) if (object) objects.set(identity, object);
  const standIns = standInsFor(objects, [...templated, ...options.supposed]);
  for (const pod of standIns) objects.set(identityOf(pod), pod);
  const builder = openBuilder();
  const model = finish(modelOf(builder.update(objects)));
  const report = folder.report(builder.warnings());
  const all = [...objects.values()];
  return {
    report: { ...report, ignored: report.ignored.filter(({ what }) => !hasTemplate(what)) },
    caseFiles,
    model,
    policies: all.filter((o) => o.kind === 'AuthorizationPolicy' || o.kind === 'PeerAuthentication'),
    labelled: all.filter((o) => o.kind === 'Pod' || o.kind === 'WorkloadEntry' || o.kind === 'ServiceEntry'),
    unaddressed: new Set(standIns.map(uidOf)),
    supposed: new Set(options.supposed.map(uidOf)),
  };
}

const uidOf = ({ namespace, name }: PodObject): string => podUid(`${namespace}/${name}`);

const mayHaveTemplate = /\b(Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob)/;

/** Pods that have no address yet, and those that are not there but would be: none for a Deployment whose pods are there. */
function standInsFor(objects: ReadonlyMap<string, MeshObject>, supposed: readonly PodObject[]): PodObject[] {
  const there = new Set<string>();
  const without: PodObject[] = [];
  for (const object of objects.values()) {
    if (object.kind !== 'Pod' || object.terminal) continue;
    if (object.addresses.length === 0) without.push(object);
    else there.add(`Pod ${object.namespace}/${object.workloadName}`).add(identityOf(object));
  }
  return addressed([...without, ...supposed], there);
}
