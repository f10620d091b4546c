// SPDX-License-Identifier: Apache-2.0
// A question by names as the connections that it means: from which address, with which identity, to which address and port.
import { type Identity, identityOf, ownerOf } from '../../mesh/identity.ts';
import type { Model } from '../../mesh/model.ts';
import type { Service } from '../../mesh/service.ts';
import type { Workload } from '../../mesh/workload.ts';
import { type Address, isV4 } from '../../net/address.ts';
import type { Cidr } from '../../net/cidr.ts';
import type { Case, Named, Source, Target } from '../../source/file/cases.ts';
import type { FileMesh } from '../../source/file/mesh-files.ts';
import { serviceHost } from '../../source/file/names.ts';
import { supposedName } from '../../source/file/stand-ins.ts';
import { nearestName } from '../../source/nearest.ts';

/** One connection that a question means. */
export interface Asked {
  readonly identity: Identity | undefined;
  /** Undefined: nobody knows it, and a policy that asks for it cannot be judged. */
  readonly source: Address | undefined;
  /** Set: `source` stands for any address of it. */
  readonly within?: Cidr;
  readonly workload: Workload;
  readonly destination: Address | undefined;
  readonly port: number;
}

/** What is wrong with a question: told with its place, and the others are answered. */
export class Unanswerable extends Error {}

export interface Asking {
  /** @throws Unanswerable */
  of(question: Pick<Case, 'from' | 'to' | 'port' | 'protocol'>): readonly Asked[];
}

/** @param pods where the addresses are from that nobody knows */
export function openAsking(
  { model, unaddressed, supposed }: Pick<FileMesh, 'model' | 'unaddressed' | 'supposed'>,
  pods: readonly Cidr[],
): Asking {
  const named = new Map<string, Workload[]>();
  const byAddress = new Map<Address, Workload[]>();
  const add = <K>(map: Map<K, Workload[]>, key: K, workload: Workload) => {
    const list = map.get(key);
    if (list === undefined) map.set(key, [workload]);
    else if (!list.includes(workload)) list.push(workload);
  };
  for (const workload of model.workloads.values()) {
    add(named, `${workload.namespace}/${workload.name}`, workload);
    for (const address of workload.addresses) add(byAddress, address, workload);
  }
  // By the name of its Deployment only where no workload has that name itself.
  const own = new Set(named.keys());
  for (const workload of model.workloads.values()) {
    const key = `${workload.namespace}/${workload.workloadName}`;
    if (workload.workloadName !== '' && !own.has(key)) add(named, key, workload);
  }
  const find = ({ namespace, name }: Named): readonly Workload[] => {
    const found = named.get(`${namespace}/${name}`);
    if (found) return found;
    throw new Unanswerable(`no workload is called ${namespace}/${name}${meant(`${namespace}/${name}`, named.keys())}`);
  };
  const identityAt = (address: Address): Identity | undefined => {
    const owner = ownerOf(byAddress.get(address) ?? []);
    return owner && identityOf(owner);
  };
  const addressesOf = (workload: Workload, ip: Address | undefined): readonly (Address | undefined)[] => {
    if (ip !== undefined) return [ip];
    return unaddressed.has(workload.uid) || workload.addresses.length === 0 ? [undefined] : workload.addresses;
  };

  type From = Pick<Asked, 'identity' | 'source' | 'within'>;
  const somewhere = (from: From): From[] => {
    if (from.source !== undefined || pods.length === 0) return [from];
    return pods.map((within) => ({ identity: from.identity, source: within.address, within }));
  };
  const sources = (source: Source): From[] => exactly(source).flatMap(somewhere);

  const exactly = ({ workload, account, ip }: Source): From[] => {
    if (account) {
      const { trustDomain = 'cluster.local', namespace, serviceAccount } = account;
      return [{ identity: { trustDomain, namespace, serviceAccount }, source: ip }];
    }
    if (workload === undefined) return [{ identity: ip === undefined ? undefined : identityAt(ip), source: ip }];
    return find(workload).flatMap((from) =>
      addressesOf(from, ip).map((source) => {
        if (from.hostNetwork) return { identity: undefined, source };
        // An address that it shares with another workload may be the other's.
        const identity = ip === undefined && source !== undefined ? identityAt(source) : identityOf(from);
        return { identity, source };
      }),
    );
  };

  const targets = (to: Target, port: number, protocol: 'tcp' | 'udp'): Pick<Asked, 'workload' | 'port'>[] => {
    // Of a pod that is only spoken of nobody knows how its ports are called.
    if (to.service) return behind(model, to.service, port, protocol).filter((at) => !supposed.has(at.workload.uid));
    const name = to.supposed && { namespace: to.supposed.namespace, name: supposedName(to.supposed.labels) };
    return find(name ?? (to.workload as Named)).map((workload) => ({ workload, port }));
  };

  return {
    of({ from, to, port, protocol }) {
      const all = targets(to, port, protocol).flatMap((target) =>
        addressesOf(target.workload, to.ip).flatMap((destination) =>
          sources(from).map((source): Asked => ({ ...target, destination, ...source })),
        ),
      );
      if (all.length === 0)
        throw new Unanswerable(`service ${to.service?.namespace}/${to.service?.name} has no endpoint`);
      const meet = all.filter(({ source, destination }) => {
        return source === undefined || destination === undefined || isV4(source) === isV4(destination);
      });
      return meet.length > 0 ? meet : all;
    },
  };
}

/** The members of a service, each with the port that the service's one leads to. */
function behind(
  model: Model,
  { namespace, name }: Named,
  port: number,
  protocol: 'tcp' | 'udp',
): Pick<Asked, 'workload' | 'port'>[] {
  const keys = [`${namespace}/${serviceHost(namespace, name)}`, `${namespace}/${name}`];
  const key = keys.find((one) => model.services.has(one));
  if (key === undefined) throw new Unanswerable(`no service is called ${namespace}/${name}`);
  const service = model.services.get(key) as Service;
  const fits = (p: { readonly protocol?: string }) =>
    p.protocol === undefined || [protocol, 'any'].includes(p.protocol);
  const own = service.ports.find((p) => p.port === port && fits(p));
  if (own === undefined) throw new Unanswerable(`service ${namespace}/${name} has no port ${port}/${protocol}`);
  const members = (model.members.get(key) ?? []).flatMap((uid) => model.workloads.get(uid) ?? []);
  return members.map((workload) => {
    const mapped = workload.services.get(key)?.find((m) => m.servicePort === port && fits(m));
    return { workload, port: mapped?.targetPort ?? (own.targetPort || port) };
  });
}

/** ", did you mean shop/cart?" */
function meant(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `, did you mean ${nearest}?`;
}
