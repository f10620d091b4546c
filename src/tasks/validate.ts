// SPDX-License-Identifier: Apache-2.0
// What the agent would say of configuration files.
import type { Env } from '../env.ts';
import { validateFiles } from '../source/file/validate.ts';
import type { Report } from '../source/findings.ts';
import { lintRoutes } from './waypoint/lint.ts';

export interface ValidateOptions {
  /** Files and folders; '-' is standard input. */
  readonly files: readonly string[];
}

/** Reads them as the agent does; never throws for what they hold. */
export async function validateConfig(env: Env, options: ValidateOptions): Promise<Report> {
  return validateFiles(options.files, { stdin: env.stdin, also: lintRoutes });
}
