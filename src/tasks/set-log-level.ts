// SPDX-License-Identifier: Apache-2.0
// Orders to the running agent: its log level, and reading its files again.
import { adminClient } from '../admin/client.ts';
import type { LogLevel, ReloadAnswer } from '../admin/types.ts';
import type { Env, Place } from '../env.ts';

export { type LogLevel, logLevels } from '../admin/types.ts';

/** Sets the level; without one only says what it is. */
export async function setLogLevel(
  _env: Env,
  { place, level }: { readonly place: Place; readonly level?: LogLevel },
): Promise<{ readonly was: LogLevel; readonly level: LogLevel }> {
  const client = adminClient(place.runDir);
  if (level !== undefined) return client.log({ level });
  const { logLevel } = await client.status({});
  return { was: logLevel, level: logLevel };
}

/** As SIGHUP does; answers when what was read is in the kernel. */
export function reloadAgent(_env: Env, { place }: { readonly place: Place }): Promise<ReloadAnswer> {
  return adminClient(place.runDir).reload({});
}
