// SPDX-License-Identifier: Apache-2.0
// Names and labels that mean something here, and the forms of names.
import { parseLocality } from '../../mesh/locality.ts';
import type { Locality } from '../../mesh/workload.ts';
import type { Distribution, Labels } from './objects.ts';

/** DNS domain of Kubernetes services. */
export const clusterDomain = 'cluster.local';
export const clusterId = 'Kubernetes';
/** Namespace whose DestinationRules hold for every namespace that has none of its own. */
export const rootNamespace = 'istio-system';

/** Annotation on a Service or ServiceEntry: what a client sees when no endpoint is usable. */
export const onEmptyAnnotation = 'kmesh.net/on-empty';
export const distributionAnnotation = 'networking.istio.io/traffic-distribution';

const labelPattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const hostLabelPattern = /^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$/i;

/** A lowercase DNS name, as Kubernetes names are (RFC 1123 subdomain). */
export function isName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => labelPattern.test(part));
}

/** One lowercase DNS label, as namespaces and services are. */
export function isLabel(text: string): boolean {
  return labelPattern.test(text);
}

export function isHost(text: string): boolean {
  return text.length <= 253 && text.split('.').every((part) => hostLabelPattern.test(part));
}

/** A host name, "*" or "*.example.com". */
export function isHostPattern(text: string): boolean {
  return text === '*' || isHost(text.startsWith('*.') ? text.slice(2) : text);
}

export function serviceHost(namespace: string, name: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/** Host names in lower case; "name.namespace.svc" is a service's, with its domain. */
export function wholeHost(host: string): string {
  const name = host.toLowerCase();
  return /^[^.]+\.[^.]+\.svc$/.test(name) ? `${name}.${clusterDomain}` : name;
}

/** Locality that an object's own labels give; undefined when they give none. Label values cannot hold "/" and write "region.zone". */
export function labelledLocality(labels: Labels): Locality | undefined {
  const text = labels['topology.istio.io/locality'] ?? labels['istio-locality'];
  if (text === undefined || text === '') return undefined;
  return parseLocality(text.includes('/') ? text : text.replaceAll('.', '/'));
}

/** Name and version that telemetry shows, from labels in the order that Istio asks them. */
export function canonical(labels: Labels, workloadName: string): { canonicalName: string; canonicalRevision: string } {
  return {
    canonicalName:
      labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels.app ?? workloadName,
    canonicalRevision:
      labels['service.istio.io/canonical-revision'] ??
      labels['app.kubernetes.io/version'] ??
      labels.version ??
      'latest',
  };
}

/** What a workload's labels and annotations say of tunnels to it. */
export function tunnelOf(labels: Labels, annotations: Labels): 'none' | 'hbone' | 'native' {
  if ((labels['networking.istio.io/tunnel'] ?? '').split(',').includes('http')) return 'native';
  return annotations['ambient.istio.io/redirection'] === 'enabled' ? 'hbone' : 'none';
}

/** trafficDistribution of a Service or of the annotation, which is read without regard to case; undefined when unknown. */
export function parseDistribution(text: string): Distribution | undefined {
  const value = text.toLowerCase();
  if (value === 'preferclose' || value === 'prefersamezone') return 'zone';
  if (value === 'prefersamenode') return 'node';
  return value === 'any' ? 'any' : undefined;
}

/** True when every pair of a selector that has any is among the labels. */
export function selects(selector: Labels, labels: Labels): boolean {
  let any = false;
  for (const key in selector) {
    if (labels[key] !== selector[key]) return false;
    any = true;
  }
  return any;
}
