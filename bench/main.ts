// SPDX-License-Identifier: Apache-2.0
// npm run bench [NAME…]: the figures of docs/figures.md, measured here and now. Exit 1 when a limit is not met.
import { benchAuthz } from './authz.ts';
import { benchChanges } from './changes.ts';
import { benchChurn } from './churn.ts';
import { benchDecode } from './decode.ts';
import { benchHooks } from './hooks.ts';
import { benchLatency } from './latency.ts';
import { benchPolicies } from './policies.ts';
import type { Line } from './report.ts';
import { benchRoutes } from './routes.ts';
import { benchScale } from './scale.ts';
import { benchStart } from './start.ts';
import { benchTraffic } from './traffic.ts';
import { benchUpgrade } from './upgrade.ts';
import { benchWaypoint } from './waypoint.ts';
import { benchXds } from './xds.ts';
import { benchYaml } from './yaml.ts';

const benches: Readonly<Record<string, () => Promise<Line[]>>> = {
  hooks: benchHooks,
  traffic: benchTraffic,
  scale: benchScale,
  latency: benchLatency,
  upgrade: benchUpgrade,
  xds: benchXds,
  changes: benchChanges,
  churn: benchChurn,
  yaml: benchYaml,
  decode: benchDecode,
  start: benchStart,
  authz: benchAuthz,
  policies: benchPolicies,
  waypoint: benchWaypoint,
  routes: benchRoutes,
};

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !(name in benches));
if (unknown !== undefined) {
  process.stderr.write(`error: there is no benchmark "${unknown}"; there are: ${Object.keys(benches).join(', ')}\n`);
  process.exit(2);
}
const lines: Line[] = [];
for (const name of asked.length > 0 ? asked : Object.keys(benches))
  lines.push(...(await (benches[name] as () => Promise<Line[]>)()));
const missed = lines.filter((line) => line.met === false);
process.stdout.write(missed.length === 0 ? '\nevery limit is met\n' : `\n${missed.length} limits are not met\n`);
process.exitCode = missed.length === 0 ? 0 : 1;
