// SPDX-License-Identifier: Apache-2.0
// What the agent says of authorization, as JSON.
import type { Told } from '../mesh/told.ts';

/** 'pending': everything inbound is refused until the first policies are in the kernel. 'off': nothing is judged. */
export type EnforcementState = 'on' | 'pending' | 'off';

/** What is done with a connection that no rule matches, and why: 'open' allows (there are no ALLOW policies), 'closed' denies everything. */
export type AuthzMode = 'open' | 'deny-list' | 'allow-list' | 'closed';

/** Connections and datagrams since the policy came into the kernel, on the whole node. */
export interface PolicyHits {
  readonly denied: number;
  readonly allowed: number;
  /** Decided by a dry run, or would have been. */
  readonly dryRun: number;
}

export interface AuthzPolicyRow extends PolicyHits {
  /** "namespace/name" */
  readonly policy: string;
  readonly action: 'allow' | 'deny';
  readonly scope: 'global' | 'namespace' | 'selector';
  readonly dryRunOnly: boolean;
  readonly conjunctions: number;
  /** Why a later version is not in force, or why it closes what it holds for; '' when nothing is wrong with it. */
  readonly fault: string;
  readonly state: 'good' | 'stale' | 'refused';
  /** It rests on HTTP attributes and denies less than it says. */
  readonly deniesLess: boolean;
}

/** An enrolled workload. */
export interface AuthzRow {
  /** "namespace/name"; '' when it was enrolled without a name and no workload has its addresses. */
  readonly workload: string;
  readonly cgroupId: string;
  readonly enforcement: EnforcementState;
  readonly addresses: readonly string[];
  readonly mode: AuthzMode;
  readonly conjunctions: number;
  readonly policies: readonly AuthzPolicyRow[];
  /** Why it is closed; empty when it is not. */
  readonly closed: readonly { readonly policy: string; readonly reason: string }[];
  /** Policies of which a later version was refused. */
  readonly stale: readonly string[];
}

/** What policies say of a connection. */
export interface AuthzExplanation {
  /** uid of the workload that is connected to. */
  readonly workload: string;
  /** uid of the workload that owns the source address, or ''. */
  readonly owner: string;
  /** Identity of the source, or ''. */
  readonly principal: string;
  /** An address of this node: it passes, whatever policies say. */
  readonly exempt: boolean;
  readonly told: Told;
  readonly closed: AuthzRow['closed'];
  readonly stale: readonly string[];
}

/** At a glance. */
export interface AuthzStatus {
  /** Enrolled cgroups by how they are enforced. */
  readonly pods: Readonly<Record<EnforcementState, number>>;
  /** Policies that are not what their authors wrote last, the first of them. */
  readonly stale: readonly string[];
  readonly refused: readonly string[];
  /** DENY policies that deny less than they say, as HTTP attributes are not judged: the first of them. */
  readonly deniesLess: readonly string[];
  readonly denials: DenialCounts;
  readonly rechecks: {
    readonly rounds: number;
    /** Open connections that were ended because they are not allowed any more. */
    readonly destroyed: number;
    readonly lastAt: number;
    readonly lastMilliseconds: number;
  };
}

export interface DenialCounts {
  /** Records read. */
  readonly seen: number;
  /** Those of them that were not logged, because there were too many. */
  readonly suppressed: number;
  /** Not recorded, because there were more of one policy a second than are, as the records themselves say. */
  readonly lost: number;
}
