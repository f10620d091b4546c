// SPDX-License-Identifier: Apache-2.0
// A delta as units that are planned or refused whole: services, joined where they share a frontend.
import type { Steps } from '../mesh/steps.ts';
import { type BackendImage, backendsBehind, type FrontendImage, type Image } from './image.ts';
import { frontendImageOf, sameFrontendImage } from './plan-entries.ts';
import { sameAsRead, sameWanted } from './range-layout.ts';
import type { WantedBackend, WantedDelta } from './wanted.ts';

export interface BackendStep {
  readonly name: string;
  readonly have: BackendImage | undefined;
  readonly wanted: WantedBackend | undefined;
}

export interface FrontendStep {
  readonly key: string;
  readonly have: FrontendImage | undefined;
  readonly next: FrontendImage | undefined;
}

export interface Unit {
  /** "namespace/hostname", as many as hang together. */
  readonly services: string[];
  readonly backends: BackendStep[];
  readonly frontends: FrontendStep[];
}

export interface Units {
  readonly units: readonly Unit[];
  /** Backends whose range, read from the kernel, is just what is wanted. */
  readonly adopted: readonly (readonly [name: string, wanted: WantedBackend])[];
}

/** Sets that are joined: each item leads to another of its set, the last to itself. */
function joinable() {
  const up = new Map<string, string>();
  const root = (item: string): string => {
    let at = item;
    for (let next = up.get(at); next !== undefined && next !== at; next = up.get(at)) at = next;
    if (at !== item) up.set(item, at);
    return at;
  };
  return {
    root,
    join(a: string, b: string): void {
      const left = root(a);
      const right = root(b);
      if (left !== right) up.set(right, left);
    },
  };
}

/** Items compared between two pauses. */
const itemsAStep = 16;

/** What of `delta` differs from `image`, in units. */
export function* unitsOf(image: Image, delta: WantedDelta): Steps<Units> {
  const adopted: [string, WantedBackend][] = [];
  const backends: BackendStep[] = [];
  const frontends: FrontendStep[] = [];
  const workloadId = (workload: string): number | undefined => image.ids.workload.idOf(workload);
  const backendId = (name: string): number | undefined => image.ids.backend.idOf(name);
  let seen = 0;

  for (const [name, wanted] of delta.backends) {
    if (++seen % itemsAStep === 0) yield;
    const have = image.backends.get(name);
    if (!wanted) {
      if (have) backends.push({ name, have, wanted });
      continue;
    }
    if (have && have.first !== 0) {
      if (have.wanted && sameWanted(have.wanted, wanted)) continue;
      if (
        have.read &&
        sameAsRead(wanted, have, have.read, image.ids.service.idOf(wanted.service), workloadId, backendId)
      ) {
        adopted.push([name, wanted]);
        continue;
      }
    }
    backends.push({ name, have, wanted });
  }
  for (const [key, wanted] of delta.frontends) {
    if (++seen % itemsAStep === 0) yield;
    const have = image.frontends.get(key);
    const next = wanted && frontendImageOf(wanted);
    if (next ? !have || !sameFrontendImage(have, next) : have) frontends.push({ key, have, next });
  }

  const sets = joinable();
  // A backend that the kernel holds without saying whose it is stands for itself.
  const serviceOf = (name: string): string => {
    const service = delta.backends.get(name)?.service ?? image.backends.get(name)?.service;
    return service || `${nameless}${name}`;
  };
  const ownerOf = (step: FrontendStep): string => {
    let owner: string | undefined;
    for (const frontend of [step.next, step.have]) {
      if (!frontend) continue;
      for (const name of backendsBehind(frontend)) {
        const service = serviceOf(name);
        if (owner === undefined) owner = service;
        else if (owner !== service) sets.join(owner, service);
      }
    }
    return owner ?? `${nameless}${step.key}`;
  };
  for (const { have, wanted } of backends) {
    if (++seen % itemsAStep === 0) yield;
    if (have?.service && wanted && have.service !== wanted.service) sets.join(wanted.service, have.service);
  }
  const owners: string[] = [];
  for (const step of frontends) {
    owners.push(ownerOf(step));
    if (++seen % itemsAStep === 0) yield;
  }

  const units = new Map<string, Unit>();
  const named = new Set<string>();
  const unitOf = (service: string): Unit => {
    const root = sets.root(service);
    let unit = units.get(root);
    if (!unit) {
      unit = { services: [], backends: [], frontends: [] };
      units.set(root, unit);
    }
    if (!named.has(service) && !service.startsWith(nameless)) {
      named.add(service);
      unit.services.push(service);
    }
    return unit;
  };
  for (const step of backends) {
    unitOf(serviceOf(step.name)).backends.push(step);
    if (++seen % itemsAStep === 0) yield;
  }
  for (let i = 0; i < frontends.length; i++) {
    unitOf(owners[i] as string).frontends.push(frontends[i] as FrontendStep);
    if (++seen % itemsAStep === 0) yield;
  }
  return { units: [...units.values()], adopted };
}

/** Begins the stand-in for a service that is not known: no namespace has a space in it. */
const nameless = ' ';
