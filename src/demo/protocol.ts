// SPDX-License-Identifier: Apache-2.0
// What the demo asks its client process for, and what that answers: one JSON line each way.

/** Calls to one service address. */
export interface Target {
  readonly protocol: 'http' | 'udp';
  readonly host: string;
  readonly port: number;
  /** Of HTTP. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Order =
  /** So many calls, `parallel` at a time. */
  | {
      readonly id: number;
      readonly kind: 'calls';
      readonly target: Target;
      readonly calls: number;
      readonly parallel: number;
    }
  /** Calls to several targets in turn, one after the other, until `end`; at most `limit`. */
  | { readonly id: number; readonly kind: 'begin'; readonly targets: readonly Target[]; readonly limit: number }
  | { readonly id: number; readonly kind: 'end' };

/** How the calls to one target went. */
export interface Tally {
  readonly target: Target;
  readonly calls: number;
  /** Name of the server (or "status 403" of an answer that is no success) -> how often it answered. */
  readonly answers: Readonly<Record<string, number>>;
  /** What went wrong (errno's name, "timeout", "source": a reply from another address) -> how often. */
  readonly errors: Readonly<Record<string, number>>;
  /** Name of the server -> milliseconds since the epoch of its last answer. */
  readonly last: Readonly<Record<string, number>>;
  /** Microseconds from before the connect to the whole answer. */
  readonly median: number;
  readonly p99: number;
}

export interface Answer {
  readonly id: number;
  /** One for each target; none for `begin`. */
  readonly tallies: readonly Tally[];
}
