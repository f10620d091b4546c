// SPDX-License-Identifier: Apache-2.0
// The log level of the running agent.
import { adminClient } from '../admin/client.ts';
import type { LogLevel } from '../admin/types.ts';
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
