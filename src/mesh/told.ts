// SPDX-License-Identifier: Apache-2.0
// A verdict of policies as it is told to people and programs: plain data.

export interface ToldRule {
  /** "namespace/name" */
  readonly policy: string;
  readonly action: 'allow' | 'deny';
  /** Which of its rules, from 0, as in "spec.rules[0]"; absent: the policy as a whole. */
  readonly rule?: number;
  /** "policies.yaml:3:9"; '' when it is in no file that is known. */
  readonly place: string;
}

export interface ToldVerdict {
  readonly verdict: 'allow' | 'deny';
  /**
   * 'deny' and 'allow': a rule matched. 'no-allow-policy' allows. 'no-match' denies: ALLOW policies hold, and none matched. 'closed': what
   * decided stands in for a policy that is refused or not known, and denies everything.
   */
  readonly why: 'deny' | 'allow' | 'no-allow-policy' | 'no-match' | 'closed';
  readonly by?: ToldRule;
  /** Why it is closed. */
  readonly reason?: string;
}

/** A rule that did not match, and what it asks that is not so; '' when that is not known. */
export interface ToldMiss extends ToldRule {
  readonly asks: string;
}

export interface Told extends ToldVerdict {
  /** Of a connection that no ALLOW policy matches: the rules that fail by the fewest values. */
  readonly nearest: readonly ToldMiss[];
  /** What the verdict would be if dry runs were enforced; absent when they do not matter. */
  readonly dryRun?: ToldVerdict;
}
