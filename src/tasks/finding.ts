// SPDX-License-Identifier: Apache-2.0
// What a check found, and what to do about it.
import { KmeshError } from '../errors.ts';

export interface Check {
  readonly what: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail?: string;
  readonly hint?: string;
}

export const ok = (what: string, detail?: string): Check => ({
  what,
  state: 'ok',
  ...(detail === undefined ? {} : { detail }),
});
export const warning = (what: string, detail: string, hint: string): Check => ({
  what,
  state: 'warning',
  detail,
  hint,
});
export const failed = (what: string, detail: string, hint: string): Check => ({ what, state: 'failed', detail, hint });

/** A check whose work may throw a KmeshError: that is the finding. */
export function tried(what: string, body: () => Check): Check {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof KmeshError)) throw error;
    return failed(what, error.message, error.hint ?? 'see the message');
  }
}
