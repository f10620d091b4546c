// SPDX-License-Identifier: Apache-2.0
// Who this node is towards the control plane, from flags and environment. docs/xds.md has the table.
import { KmeshError } from '../../errors.ts';
import { parseAddress } from '../../net/address.ts';
import type { NodeIdentity } from './types.ts';

/** The environment: NAME -> value. */
export type Environ = Readonly<Record<string, string | undefined>>;

/** As given on the command line; absent: not given. */
export interface NodeFlags {
  readonly node?: string | undefined;
  /** "NAMESPACE/NAME" */
  readonly pod?: string | undefined;
  readonly instanceIp?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly network?: string | undefined;
}

export interface NodeFacts {
  readonly nodeName: string;
  readonly podName: string;
  readonly podNamespace: string;
  /** Canonical; the first one is in the node's id. Never empty. */
  readonly instanceIps: readonly string[];
  readonly clusterId: string;
  readonly network: string;
  /** What ISTIO_META_* and ISTIO_METAJSON_* say. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

const metaPrefix = 'ISTIO_META_';
const metaJsonPrefix = 'ISTIO_METAJSON_';
/** What a proxy without an address of its own says: the control plane wants one, whichever. */
const anyIp = '1.1.1.1';

/** KM_USAGE names the flag or variable that makes no sense. */
export function readNode(flags: NodeFlags, environ: Environ, hostname: string): NodeFacts {
  const metadata = readMetadata(environ);
  /** Flag, then the variable, then ISTIO_META_*: the first that says something. */
  const pick = (flag: readonly [string, string | undefined], variable: string, meta: string): Given | undefined => {
    if (flag[1] !== undefined && flag[1] !== '') return { from: flag[0], text: flag[1] };
    const own = environ[variable];
    if (own !== undefined && own !== '') return { from: variable, text: own };
    const text = environ[metaPrefix + meta];
    return text === undefined || text === '' ? undefined : { from: metaPrefix + meta, text };
  };
  const nodeName = pick(['--node', flags.node], 'NODE_NAME', 'NODE_NAME')?.text ?? hostname;
  const pod = podOf(flags.pod);
  const name = pick(['--pod', pod?.name], 'POD_NAME', 'NAME');
  const namespace = pick(['--pod', pod?.namespace], 'POD_NAMESPACE', 'NAMESPACE');
  for (const given of [name, namespace]) if (given) requireWord(given);
  const ips = pick(['--instance-ip', flags.instanceIp], 'INSTANCE_IP', 'INSTANCE_IPS');
  return {
    nodeName,
    podName: name?.text ?? `kmesh-${nodeName}`,
    podNamespace: namespace?.text ?? 'istio-system',
    instanceIps: ips ? addressesOf(ips) : [anyIp],
    clusterId: pick(['--cluster-id', flags.clusterId], 'CLUSTER_ID', 'CLUSTER_ID')?.text ?? 'Kubernetes',
    network: pick(['--network', flags.network], 'NETWORK', 'NETWORK')?.text ?? '',
    metadata,
  };
}

/** A node identity as a ztunnel of this node has it. */
export function nodeIdentity(facts: NodeFacts): NodeIdentity {
  const { podName, podNamespace, instanceIps } = facts;
  return {
    id: `ztunnel~${instanceIps[0] ?? anyIp}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    metadata: {
      ...facts.metadata,
      NAME: podName,
      NAMESPACE: podNamespace,
      INSTANCE_IPS: instanceIps.join(','),
      NODE_NAME: facts.nodeName,
      CLUSTER_ID: facts.clusterId,
      ...(facts.network !== '' && { NETWORK: facts.network }),
    },
  };
}

interface Given {
  readonly from: string;
  readonly text: string;
}

function readMetadata(environ: Environ): Record<string, unknown> {
  const texts: [string, unknown][] = [];
  const values: [string, unknown][] = [];
  for (const [name, text] of Object.entries(environ)) {
    if (text === undefined) continue;
    if (name.startsWith(metaPrefix)) texts.push([name.slice(metaPrefix.length), text]);
    else if (name.startsWith(metaJsonPrefix)) values.push([name.slice(metaJsonPrefix.length), parseJson(name, text)]);
  }
  // The more exact form wins.
  return Object.fromEntries([...texts, ...values].filter(([name]) => name !== ''));
}

function parseJson(from: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw usage({ from, text }, 'must be JSON', cause);
  }
}

function podOf(text: string | undefined): { readonly namespace: string; readonly name: string } | undefined {
  if (text === undefined || text === '') return undefined;
  const [namespace, name, ...rest] = text.split('/');
  if (!namespace || !name || rest.length > 0) throw usage({ from: '--pod', text }, 'must be NAMESPACE/NAME');
  return { namespace, name };
}

function addressesOf(given: Given): string[] {
  return given.text.split(',').map((part) => {
    const address = parseAddress(part.trim());
    if (address === undefined) throw usage(given, 'must be an IPv4 or IPv6 address, or several with commas');
    return address;
  });
}

/** Names go into the node's id, whose parts are parted by "~" and ".". */
function requireWord(given: Given): void {
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(given.text)) throw usage(given, 'must be a Kubernetes name');
}

/** '--pod "a b" must be …' */
export function usage({ from, text }: Given, reason: string, cause?: unknown): KmeshError {
  return new KmeshError('KM_USAGE', `${from} "${text}" ${reason}`, cause === undefined ? {} : { cause });
}
