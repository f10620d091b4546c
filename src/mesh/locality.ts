// SPDX-License-Identifier: Apache-2.0
// Localities: text form, wildcard patterns of DestinationRules, and how near one is to another.
import type { Locality } from './workload.ts';

/** The locality written as "region/zone/subzone"; parts left out are ''. */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', ...rest] = text.split('/');
  return { region, zone, subzone: rest.join('/') };
}

/** "region/zone/subzone" without trailing empty parts. */
export function localityText(l: Locality): string {
  return `${l.region}/${l.zone}/${l.subzone}`.replace(/\/+$/, '');
}

/** True when `locality` fits a pattern of a DestinationRule: '*' fits anything, and so do a zone or subzone that the pattern leaves out. */
export function localityFits(pattern: string, locality: Locality): boolean {
  const p = parseLocality(pattern);
  return (
    (p.region === '*' || p.region === locality.region) &&
    (p.zone === '*' || p.zone === '' || p.zone === locality.zone) &&
    (p.subzone === '*' || p.subzone === '' || p.subzone === locality.subzone)
  );
}

/** 0: same subzone, 1: same zone, 2: same region, 3: elsewhere. */
export function localityDistance(a: Locality, b: Locality): 0 | 1 | 2 | 3 {
  if (a.region !== b.region) return 3;
  if (a.zone !== b.zone) return 2;
  return a.subzone === b.subzone ? 0 : 1;
}
