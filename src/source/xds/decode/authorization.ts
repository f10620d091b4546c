// SPDX-License-Identifier: Apache-2.0
// istio.security.Authorization -> a policy of the model. Rules, clauses and matches stay as they are, empty ones too: each means something.
// What cannot be known is a fault, so that no policy allows more than it says.
import { conjunctionCount, maxConjunctions } from '../../../mesh/conjunction.ts';
import {
  type AddressMatch,
  type Clause,
  type Match,
  type Policy,
  policyKey,
  type Rule,
  type ServiceAccountMatch,
  type StringMatch,
} from '../../../mesh/policy.ts';
import { rangeOf } from './addresses.ts';
import { maxPort } from './ports.ts';
import { quote } from './quote.ts';
import type { FieldNames, Reader } from './reader.ts';

const policyFields: FieldNames = {
  1: 'name',
  2: 'namespace',
  3: 'scope',
  4: 'action',
  5: 'rules',
  6: 'dry_run',
  7: 'extensions',
};
const ruleFields: FieldNames = { 1: 'clauses' };
const clauseFields: FieldNames = { 2: 'matches' };
const matchFields: FieldNames = {
  1: 'namespaces',
  2: 'not_namespaces',
  3: 'principals',
  4: 'not_principals',
  5: 'source_ips',
  6: 'not_source_ips',
  7: 'destination_ips',
  8: 'not_destination_ips',
  9: 'destination_ports',
  10: 'not_destination_ports',
  11: 'service_accounts',
  12: 'not_service_accounts',
  13: 'extensions',
};
const stringFields: FieldNames = { 1: 'exact', 2: 'prefix', 3: 'suffix', 4: 'presence' };
const addressFields: FieldNames = { 1: 'address', 2: 'length' };
const accountFields: FieldNames = { 1: 'namespace', 2: 'serviceAccount' };
const extensionFields: FieldNames = { 1: 'name', 2: 'config' };

/** By number of Scope and Action. */
const scopes = ['global', 'namespace', 'selector'] as const;
const actions = ['allow', 'deny'] as const;

export interface ReadPolicy {
  /** Counts only without faults. */
  readonly policy: Policy;
  /** With faults: what it may hold for, as far as it can be told; undefined: it would not be enforced anyway. */
  readonly reach: { readonly scope: Policy['scope'] | undefined } | undefined;
}

/** `name`: of the resource, which must be that of the policy. */
export function readAuthorization(reader: Reader, name: string): ReadPolicy {
  let ownName = '';
  let namespace = '';
  let scope = 0;
  let saysScope = false;
  let action = 0;
  let dryRun = false;
  let extensions = 0;
  const rules: Rule[] = [];
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        ownName = reader.ownText('name');
        break;
      case (2 << 3) | 2:
        namespace = reader.text('namespace');
        break;
      case (3 << 3) | 0:
        scope = reader.int32();
        saysScope = !reader.broken;
        break;
      case (4 << 3) | 0:
        action = reader.int32();
        break;
      case (5 << 3) | 2:
        rules.push(readRule(reader, rules.length));
        break;
      case (6 << 3) | 0:
        dryRun = reader.bool();
        break;
      case (7 << 3) | 2:
        refuseExtension(reader, extensions++);
        break;
      default:
        reader.other(tag, policyFields);
    }
  }
  // What is left out is the first one, but not where the message is broken off.
  const isWhole = !reader.broken;
  const knownScope = saysScope || isWhole ? scopes[scope] : undefined;
  const knownAction = actions[action];
  if (scopes[scope] === undefined) reader.fault('scope', `unknown value ${scope}`);
  if (knownAction === undefined) reader.fault('action', `unknown value ${action}`);
  const policy: Policy = {
    name: ownName,
    namespace,
    scope: knownScope ?? 'global',
    action: knownAction ?? 'deny',
    rules,
    dryRun,
  };
  const conjunctions = conjunctionCount(policy);
  if (isWhole && conjunctions > maxConjunctions) {
    reader.fault('rules', `${conjunctions} conjunctions, must be at most ${maxConjunctions}`);
  }
  if (policyKey(policy) === name) return { policy, reach: isWhole && dryRun ? undefined : { scope: knownScope } };
  reader.fault('name', `${quote(policyKey(policy))} is not the name of the resource`);
  // Whichever name is meant: its namespace, and the mesh where that is not sure either.
  const elsewhere = namespace !== '' && !name.startsWith(`${namespace}/`);
  return { policy, reach: { scope: elsewhere || knownScope === 'global' ? 'global' : undefined } };
}

function readRule(reader: Reader, index: number): Rule {
  const mark = reader.mark;
  const outer = reader.enter();
  const clauses: Clause[] = [];
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | 2)) clauses.push(readClause(reader, clauses.length));
    else reader.other(tag, ruleFields);
  }
  reader.leave(outer, mark, 'rules', index);
  return clauses;
}

function readClause(reader: Reader, index: number): Clause {
  const mark = reader.mark;
  const outer = reader.enter();
  const matches: Match[] = [];
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((2 << 3) | 2)) matches.push(readMatch(reader, matches.length));
    else reader.other(tag, clauseFields);
  }
  reader.leave(outer, mark, 'clauses', index);
  return matches;
}

function readMatch(reader: Reader, index: number): Match {
  const mark = reader.mark;
  const outer = reader.enter();
  const match = {
    namespaces: [] as StringMatch[],
    notNamespaces: [] as StringMatch[],
    principals: [] as StringMatch[],
    notPrincipals: [] as StringMatch[],
    serviceAccounts: [] as ServiceAccountMatch[],
    notServiceAccounts: [] as ServiceAccountMatch[],
    sourceIps: [] as AddressMatch[],
    notSourceIps: [] as AddressMatch[],
    destinationIps: [] as AddressMatch[],
    notDestinationIps: [] as AddressMatch[],
    destinationPorts: [] as number[],
    notDestinationPorts: [] as number[],
  };
  let extensions = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        readString(reader, match.namespaces, 'namespaces');
        break;
      case (2 << 3) | 2:
        readString(reader, match.notNamespaces, 'not_namespaces');
        break;
      case (3 << 3) | 2:
        readString(reader, match.principals, 'principals');
        break;
      case (4 << 3) | 2:
        readString(reader, match.notPrincipals, 'not_principals');
        break;
      case (5 << 3) | 2:
        readAddress(reader, match.sourceIps, 'source_ips');
        break;
      case (6 << 3) | 2:
        readAddress(reader, match.notSourceIps, 'not_source_ips');
        break;
      case (7 << 3) | 2:
        readAddress(reader, match.destinationIps, 'destination_ips');
        break;
      case (8 << 3) | 2:
        readAddress(reader, match.notDestinationIps, 'not_destination_ips');
        break;
      case (9 << 3) | 2:
      case (9 << 3) | 0:
        readPorts(reader, tag, match.destinationPorts, 'destination_ports');
        break;
      case (10 << 3) | 2:
      case (10 << 3) | 0:
        readPorts(reader, tag, match.notDestinationPorts, 'not_destination_ports');
        break;
      case (11 << 3) | 2:
        readAccount(reader, match.serviceAccounts, 'service_accounts');
        break;
      case (12 << 3) | 2:
        readAccount(reader, match.notServiceAccounts, 'not_service_accounts');
        break;
      case (13 << 3) | 2:
        refuseExtension(reader, extensions++);
        break;
      default:
        reader.other(tag, matchFields);
    }
  }
  reader.leave(outer, mark, 'matches', index);
  return match;
}

function readString(reader: Reader, into: StringMatch[], field: string): void {
  const mark = reader.mark;
  const outer = reader.enter();
  let match: StringMatch | undefined;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        match = { kind: 'exact', value: reader.text('exact') };
        break;
      case (2 << 3) | 2:
        match = { kind: 'prefix', value: reader.text('prefix') };
        break;
      case (3 << 3) | 2:
        match = { kind: 'suffix', value: reader.text('suffix') };
        break;
      case (4 << 3) | 2:
        reader.span();
        match = { kind: 'presence' };
        break;
      default:
        reader.other(tag, stringFields);
    }
  }
  if (match === undefined) reader.fault('', 'neither exact, prefix, suffix nor presence');
  reader.leave(outer, mark, field, into.length);
  into.push(match ?? { kind: 'presence' });
}

function readAddress(reader: Reader, into: AddressMatch[], field: string): void {
  const mark = reader.mark;
  const outer = reader.enter();
  let start = reader.pos;
  let size = 0;
  let length = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        size = reader.span();
        start = reader.pos - size;
        break;
      case (2 << 3) | 0:
        length = reader.uint32();
        break;
      default:
        reader.other(tag, addressFields);
    }
  }
  const wrongSize = size !== 4 && size !== 16;
  if (wrongSize) reader.fault('address', `${size} bytes, must be 4 or 16`);
  else if (length > size * 8) reader.fault('length', `${length}, must be at most ${size * 8}`);
  const range = wrongSize ? undefined : rangeOf(reader.bytes.subarray(start, start + size), length);
  reader.leave(outer, mark, field, into.length);
  into.push(range ?? { address: '', length: 0 });
}

/** Packed or one by one. */
function readPorts(reader: Reader, tag: number, into: number[], field: string): void {
  const one = () => {
    const port = reader.uint32();
    if (port > maxPort) reader.fault(`${field}[${into.length}]`, `${port}, must be at most ${maxPort}`);
    into.push(port);
  };
  if ((tag & 7) === 0) {
    one();
    return;
  }
  const outer = reader.enter();
  while (reader.more()) one();
  reader.leave(outer, reader.mark, field);
}

function readAccount(reader: Reader, into: ServiceAccountMatch[], field: string): void {
  const mark = reader.mark;
  const outer = reader.enter();
  let namespace = '';
  let serviceAccount = '';
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 2:
        namespace = reader.text('namespace');
        break;
      case (2 << 3) | 2:
        serviceAccount = reader.text('serviceAccount');
        break;
      default:
        reader.other(tag, accountFields);
    }
  }
  reader.leave(outer, mark, field, into.length);
  into.push({ namespace, serviceAccount });
}

/** An extension may narrow or widen what a policy says: only whoever knows it can tell. */
function refuseExtension(reader: Reader, index: number): void {
  const mark = reader.mark;
  const outer = reader.enter();
  let name = '';
  while (reader.more()) {
    const tag = reader.tag();
    if (tag === ((1 << 3) | 2)) name = reader.text('name');
    else if (tag === ((2 << 3) | 2)) reader.span();
    else reader.other(tag, extensionFields);
  }
  reader.fault('', `${quote(name)} is not known, so what the policy means is not either`);
  reader.leave(outer, mark, 'extensions', index);
}
