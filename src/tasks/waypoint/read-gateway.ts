// SPDX-License-Identifier: Apache-2.0
// What a Gateway says of its waypoint. Its status is written by others: nothing is taken for granted.
import type { KubeObject } from '../../kube/object.ts';
import * as words from './words.ts';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** Of an earlier version of the Gateway. */
  readonly stale: boolean;
}

export interface Waypoint {
  readonly namespace: string;
  readonly name: string;
  readonly class: string;
  readonly revision: string;
  readonly trafficType: string;
  readonly addresses: readonly string[];
  readonly conditions: readonly Condition[];
}

type Fields = Readonly<Record<string, unknown>>;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const listOf = (value: unknown): readonly Fields[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];

export const classOf = ({ spec }: KubeObject): string => textOf(spec?.gatewayClassName);

/** Of a class for waypoints, or said to be one. A Gateway for traffic from outside is none. */
export function isWaypoint({ metadata, spec }: KubeObject): boolean {
  const { labels = {}, annotations = {} } = metadata;
  const known: readonly unknown[] = [words.istioClass, words.ownClass];
  return (
    known.includes(spec?.gatewayClassName) ||
    words.waypointForLabel in labels ||
    words.inboundBindingAnnotation in annotations ||
    words.ownBindingAnnotation in annotations
  );
}

export const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`;

/** `classes`: they give the traffic type of Gateways that do not say it. */
export function readWaypoint(gateway: KubeObject, classes: ReadonlyMap<string, KubeObject> = new Map()): Waypoint {
  const { metadata, status = {} } = gateway;
  const labels = metadata.labels ?? {};
  const ofClass = classes.get(classOf(gateway))?.metadata.labels?.[words.waypointForLabel];
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    class: classOf(gateway),
    revision: labels[words.revisionLabel] ?? 'default',
    trafficType: labels[words.waypointForLabel] ?? ofClass ?? 'service',
    addresses: listOf(status.addresses).map(({ value }) => textOf(value)),
    conditions: listOf(status.conditions).map((condition) => ({
      type: textOf(condition.type),
      status: textOf(condition.status),
      reason: textOf(condition.reason),
      message: textOf(condition.message),
      stale:
        typeof condition.observedGeneration === 'number' && condition.observedGeneration < (metadata.generation ?? 0),
    })),
  };
}

export type Programmed = 'yes' | 'no' | 'unknown';

const programmedOf = ({ conditions }: Waypoint): Condition | undefined =>
  conditions.find(({ type }) => type === 'Programmed');

/** What a controller says of this version of the Gateway. Before one has looked at it, the API itself says "Pending". */
export function programmed(waypoint: Waypoint): Programmed {
  const condition = programmedOf(waypoint);
  if (condition === undefined || condition.stale) return 'unknown';
  if (condition.status === 'True') return 'yes';
  return condition.status === 'False' ? 'no' : 'unknown';
}

/** Why it is not programmed, with the reason that the controller gives. */
export function whyNot(waypoint: Waypoint): string {
  // A Gateway that is not accepted never gets programmed: that is the better reason.
  const refused = waypoint.conditions.find(({ type, status }) => type === 'Accepted' && status === 'False');
  const condition = refused ?? programmedOf(waypoint);
  if (condition === undefined) return 'no controller has looked at it';
  const { type, status, reason, message, stale } = condition;
  if (stale) return 'its controller has not looked at its latest version';
  return `${type} is ${status}, reason ${reason || 'not given'}${message === '' ? '' : `: ${message}`}`;
}
