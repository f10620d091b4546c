// SPDX-License-Identifier: Apache-2.0
// Every command, in the order help and docs show them.
import type { Command } from '../spec.ts';
import { agent } from './agent.ts';
import { authzCheck } from './authz/check.ts';
import { authzDisable } from './authz/disable.ts';
import { authzEnable } from './authz/enable.ts';
import { authzExplain } from './authz/explain.ts';
import { authzStatus } from './authz/status.ts';
import { check } from './check.ts';
import { completion } from './completion.ts';
import { demo } from './demo.ts';
import { dumpConfig } from './dump/config.ts';
import { dumpDiff } from './dump/diff.ts';
import { dumpMaps } from './dump/maps.ts';
import { dumpServices } from './dump/services.ts';
import { dumpWorkloads } from './dump/workloads.ts';
import { enroll } from './enroll.ts';
import { enrolled } from './enrolled.ts';
import { exec } from './exec.ts';
import { explain } from './explain.ts';
import { install } from './install.ts';
import { load } from './load.ts';
import { log } from './log.ts';
import { status } from './status.ts';
import { unenroll } from './unenroll.ts';
import { uninstall } from './uninstall.ts';
import { unload } from './unload.ts';
import { upgrade } from './upgrade.ts';
import { validate } from './validate.ts';
import { version } from './version.ts';
import { waypointApply } from './waypoint/apply.ts';
import { waypointDelete } from './waypoint/delete.ts';
import { waypointGenerate } from './waypoint/generate.ts';
import { waypointList } from './waypoint/list.ts';
import { waypointRun } from './waypoint/run.ts';
import { waypointServe } from './waypoint/serve.ts';
import { waypointStatus } from './waypoint/status.ts';

export const commands: readonly Command[] = [
  ...[load, unload, upgrade, status, check],
  ...[enroll, unenroll, enrolled, exec],
  ...[authzStatus, authzExplain, authzEnable, authzDisable, authzCheck],
  ...[waypointGenerate, waypointApply, waypointDelete, waypointList, waypointStatus, waypointServe, waypointRun],
  ...[agent, validate, log],
  ...[dumpMaps, dumpServices, dumpWorkloads, dumpConfig, dumpDiff, explain],
  ...[install, uninstall, version, completion, demo],
];
