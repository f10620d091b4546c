// SPDX-License-Identifier: Apache-2.0
// Which waypoint an object asks for by its labels, and what should become of connections while that cannot be used.
import type { Otherwise } from '../../mesh/gateway.ts';
import { isLabel, isName } from './names.ts';
import type { CanaryWish, Labels, WaypointWish } from './objects.ts';
import type { Reading } from './reading.ts';

const use = 'istio.io/use-waypoint';
const canaryUse = 'istio.io/use-waypoint-canary';
const weightAnnotation = 'istio.io/use-waypoint-canary-weight';
const unreadyAnnotation = 'kmesh.net/waypoint-unready';
/** On what is a waypoint, or any gateway, itself. */
const gatewayName = 'gateway.networking.k8s.io/gateway-name';

type Path = readonly (string | number)[];

interface Marked {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
}

/** `home`: the namespace that is meant when none is named. `at`: where the labels are. */
export function waypointWish(
  meta: Marked,
  reading: Reading,
  home = meta.namespace,
  at: Path = ['metadata', 'labels'],
): { waypoint?: WaypointWish; waypointCanary?: CanaryWish; waypointUnready?: Otherwise } {
  const { labels, annotations } = meta;
  const unready = unreadyOf(annotations, reading);
  const wish = wishOf(labels, annotations, home, reading, at);
  if (wish.waypointCanary?.canary !== undefined && home !== meta.namespace) {
    reading.warnAt(['metadata', 'labels', canaryUse], `has no effect without ${use}`);
  }
  return { ...wish, ...(unready && { waypointUnready: unready }) };
}

function wishOf(
  labels: Labels,
  annotations: Labels,
  home: string,
  reading: Reading,
  at: Path,
): { waypoint?: WaypointWish; waypointCanary?: CanaryWish } {
  if (labels[gatewayName] !== undefined) return { waypoint: noWaypoint };
  const gateway = named(labels, use, home, reading, at);
  const canary = named(labels, canaryUse, home, reading, at);
  const weight = weightOf(annotations, reading);
  // Not that of the namespace: as Istio has it, this names a Gateway that is not there.
  if (labels[use] === '')
    reading.warnAt([...at, use], 'names no Gateway: connections have no waypoint that can be used');
  if (gateway === '') return { waypoint: noWaypoint };
  if (gateway !== undefined) return { waypoint: { gateway, canary: canary ?? '', canaryWeight: weight ?? 0 } };
  if (canary === undefined && weight === undefined) return {};
  return {
    waypointCanary: { ...(canary !== undefined && { canary }), ...(weight !== undefined && { canaryWeight: weight }) },
  };
}

export const noWaypoint: WaypointWish = { gateway: '', canary: '', canaryWeight: 0 };

/** "namespace/name"; '' for "none"; undefined: nothing is said. */
function named(labels: Labels, key: string, home: string, reading: Reading, at: Path): string | undefined {
  const name = labels[key];
  if (name === undefined) return undefined;
  if (name === 'none' || (name === '' && key === canaryUse)) return '';
  const namespace = labels[`${key}-namespace`] ?? home;
  if ((name === '' || isName(name)) && (namespace === '' || isLabel(namespace))) return `${namespace}/${name}`;
  reading.faultAt([...at, key], `must be the name of a Gateway or "none", not ${JSON.stringify(name)}`);
  return undefined;
}

function weightOf(annotations: Labels, reading: Reading): number | undefined {
  const text = annotations[weightAnnotation];
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text);
  const path = ['metadata', 'annotations', weightAnnotation];
  reading.warnAt(path, `must be a whole number from 0 to 100, not ${JSON.stringify(text)}: there is no canary`);
  return 0;
}

function unreadyOf(annotations: Labels, reading: Reading): Otherwise | undefined {
  const value = annotations[unreadyAnnotation];
  if (value === undefined || value === 'refuse' || value === 'direct') return value;
  const path = ['metadata', 'annotations', unreadyAnnotation];
  reading.faultAt(path, `must be one of refuse, direct, not ${JSON.stringify(value)}`);
  return undefined;
}
