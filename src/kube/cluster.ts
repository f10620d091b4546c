// SPDX-License-Identifier: Apache-2.0
// A cluster as the commands need it: few verbs, one kind of failure. What speaks to a real one is in rest.ts.
import type { Kind, KubeObject } from './object.ts';

/** The name under which fields that these commands write are owned. */
export const ownFieldManager = 'kmeshctl';

export interface Writing {
  /** The server does everything but store it. */
  readonly dryRun: boolean;
}

/** Every method fails with a KmeshError: KM_KUBE, or KM_CONFLICT when somebody else owns what should be written. */
export interface Cluster {
  /** The namespace of the context. */
  readonly namespace: string;
  /** Undefined: there is none. */
  get(kind: Kind, name: string, namespace?: string): Promise<KubeObject | undefined>;
  /** Without a namespace: those of all. `labels`: a selector. */
  list(kind: Kind, of: { readonly namespace?: string; readonly labels?: string }): Promise<readonly KubeObject[]>;
  /** Server-side apply. `force`: fields that others own are taken over. */
  apply(kind: Kind, object: KubeObject, how: Writing & { readonly force: boolean }): Promise<KubeObject>;
  /** The same for its status, as its controller says it: whoever owned a field of it before does not any more. */
  applyStatus(kind: Kind, object: KubeObject): Promise<KubeObject>;
  /** Labels of an object as it was read; null removes one. KM_CONFLICT when it was changed since. */
  label(
    kind: Kind,
    object: KubeObject,
    labels: Readonly<Record<string, string | null>>,
    how: Writing,
  ): Promise<KubeObject>;
  /** Removes this very object, not one that was made anew under its name. False: it was gone. */
  remove(kind: Kind, object: KubeObject, how: Writing): Promise<boolean>;
}

/** Which cluster, as flags say it. */
export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
}
