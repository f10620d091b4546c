// SPDX-License-Identifier: Apache-2.0
// Pod: its addresses, readiness, place and ports. What it runs is of no concern here.
import { address } from '../addresses.ts';
import { flag, listOf, object, oneOf, port, silentFields, text } from '../fields.ts';
import { base, defineKind, type Meta, serviceAccount } from '../kind.ts';
import { canonical, labelledLocality, tunnelOf } from '../names.ts';
import type { NamedPort, PodObject } from '../objects.ts';
import { waypointWish } from '../waypoint-labels.ts';

const containers = listOf(
  object(
    {
      restartPolicy: text(),
      ports: listOf(
        object({
          name: text(),
          containerPort: port,
          protocol: oneOf('TCP', 'UDP', 'SCTP'),
          ...silentFields('hostPort', 'hostIP'),
        }),
      ),
    },
    { open: true },
  ),
);

const shape = {
  spec: object({
    nodeName: text(),
    serviceAccountName: serviceAccount,
    serviceAccount,
    hostNetwork: flag(),
    containers,
    initContainers: containers,
    readinessGates: listOf(object({ conditionType: text() })),
    ...silentFields('activeDeadlineSeconds', 'affinity', 'automountServiceAccountToken', 'dnsConfig', 'dnsPolicy'),
    ...silentFields('enableServiceLinks', 'ephemeralContainers', 'hostAliases', 'hostIPC', 'hostPID', 'hostUsers'),
    ...silentFields('hostname', 'hostnameOverride', 'imagePullSecrets', 'nodeSelector', 'os', 'overhead'),
    ...silentFields('preemptionPolicy', 'priority', 'priorityClassName', 'resourceClaims', 'resources'),
    ...silentFields('restartPolicy', 'runtimeClassName', 'schedulerName', 'schedulingGates', 'securityContext'),
    ...silentFields('setHostnameAsFQDN', 'shareProcessNamespace', 'subdomain', 'terminationGracePeriodSeconds'),
    ...silentFields('tolerations', 'topologySpreadConstraints', 'volumes', 'workloadRef'),
  }),
  status: object(
    {
      phase: text(),
      podIP: address,
      podIPs: listOf(object({ ip: address })),
      conditions: listOf(object({ type: text(), status: text() }, { open: true })),
    },
    { open: true },
  ),
};

export const podKind = defineKind({
  kind: 'Pod',
  group: '',
  versions: ['v1'],
  namespaced: true,
  shape,
  make(raw, meta, reading): PodObject {
    const { spec, status } = raw;
    const conditions = status?.conditions ?? [];
    const met = (type: string | undefined) => conditions.some((c) => c.type === type && c.status === 'True');
    const ips = (status?.podIPs ?? []).flatMap((item) => item.ip ?? []);
    const owner = ownerOf(meta);
    const locality = labelledLocality(meta.labels);
    return {
      kind: 'Pod',
      ...base(meta),
      labels: meta.labels,
      addresses: [...new Set(ips.length > 0 ? ips : status?.podIP === undefined ? [] : [status.podIP])],
      terminal: status?.phase === 'Succeeded' || status?.phase === 'Failed',
      // A pod that is being deleted drains, as in EndpointSlices.
      healthy:
        met('Ready') &&
        (spec?.readinessGates ?? []).every((gate) => met(gate.conditionType)) &&
        meta.deletionTimestamp === undefined,
      node: spec?.nodeName ?? '',
      serviceAccount: spec?.serviceAccountName ?? spec?.serviceAccount ?? 'default',
      hostNetwork: spec?.hostNetwork ?? false,
      ...(locality && { locality }),
      ...owner,
      ports: [
        ...(spec?.containers ?? []).flatMap((c) => portsOf(c.ports)),
        // An init container that never ends is a sidecar, and serves.
        ...(spec?.initContainers ?? []).flatMap((c) => (c.restartPolicy === 'Always' ? portsOf(c.ports) : [])),
      ],
      ...canonical(meta.labels, owner.workloadName),
      tunnel: tunnelOf(meta.labels, meta.annotations),
      ...waypointWish(meta, reading),
    };
  },
});

interface ContainerPort {
  readonly name: string | undefined;
  readonly containerPort: number | undefined;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | undefined;
}

/** Ports that a service can name. */
function portsOf(ports: readonly ContainerPort[] | undefined): NamedPort[] {
  return (ports ?? []).flatMap(({ name, containerPort, protocol = 'TCP' }) => {
    if (name === undefined || containerPort === undefined || protocol === 'SCTP') return [];
    return [{ name, protocol: protocol === 'UDP' ? 'udp' : 'tcp', port: containerPort } as const];
  });
}

/** What made the pod, by the name that people know it by: the Deployment and not its ReplicaSet, the CronJob and not its Job. */
function ownerOf(meta: Meta): Pick<PodObject, 'workloadName' | 'workloadType'> {
  const named = meta.labels['service.istio.io/workload-name'];
  const controller = meta.ownerReferences?.find((owner) => owner.controller);
  const own = { workloadName: named ?? meta.name, workloadType: 'pod' } as const;
  if (controller?.name === undefined || meta.generateName === undefined) return own;
  const template = meta.labels['pod-template-hash'];
  const { kind, name } = controller;
  if (kind === 'ReplicaSet' && template !== undefined && name.endsWith(`-${template}`)) {
    return { workloadName: named ?? name.slice(0, -template.length - 1), workloadType: 'deployment' };
  }
  if (kind === 'Job') {
    const cron = /^(.+)-\d{8,10}$/.exec(name);
    return cron
      ? { workloadName: named ?? (cron[1] as string), workloadType: 'cronjob' }
      : { workloadName: named ?? name, workloadType: 'job' };
  }
  return { workloadName: named ?? name, workloadType: 'pod' };
}
