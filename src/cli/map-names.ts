// SPDX-License-Identifier: Apache-2.0
// Names that completion offers for maps (a test compares them with the maps there are).
export const mapNames = [
  'frontend',
  'variant',
  'cidr',
  'backend',
  'endpoint',
  'maglev',
  'setting',
  'enrolled',
  'level',
  'client',
  'sock',
  'reason',
  'active',
  'robin',
  'affinity',
  'udp_flow',
  'udp_reverse',
  'enrolment',
  'name',
] as const;
