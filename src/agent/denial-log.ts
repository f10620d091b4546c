// SPDX-License-Identifier: Apache-2.0
// Denied connections in the log, by the names of policies and sources: a few a second, the others counted.
import { reasons } from '../abi/reasons.ts';
import { denialFlag, identityHost, memberPolicyBits, type NameKind, protocolNumber } from '../abi/structs.ts';
import type { DenialCounts } from '../admin/authz.ts';
import type { Denial } from '../kernel/dataplane.ts';
import { socketAddressText } from '../net/socket-address.ts';
import type { Log } from './log.ts';

export interface DenialLogOptions {
  /** All records that came since the last time. */
  readonly read: () => readonly Denial[];
  readonly nameOf: (kind: NameKind, id: number) => string | undefined;
  readonly log: Log;
  /** Told of every record. */
  readonly onDenial?: (denial: Denial) => void;
  readonly everyMs?: number;
}

export interface DenialLog {
  /** Begins to read, unless it does already. */
  start(): void;
  /** Reads what is left, and no more. */
  stop(): void;
  /** Records that came another way. */
  take(denials: readonly Denial[]): void;
  counts(): DenialCounts;
}

/** The ring wakes nobody up: to be woken for each connection would cost more than the connection. */
const usualEveryMs = 500;
/** Lines for what is read at once. */
const mostLines = 20;

const messages = {
  denied: 'connection denied',
  ended: 'connection ended: it is not allowed any more',
  dry_run: 'dry run: connection would be denied',
  dry_run_allowed: 'connection denied; dry run: it would be allowed',
} as const;

function eventOf({ flags }: Denial): keyof typeof messages {
  if ((flags & denialFlag.dryRun) !== 0) return 'dry_run';
  if ((flags & (denialFlag.open | denialFlag.handshake | denialFlag.request)) !== 0) return 'ended';
  return (flags & denialFlag.dryAllows) !== 0 ? 'dry_run_allowed' : 'denied';
}

const protocolOf = (number: number): string =>
  Object.entries(protocolNumber).find(([, known]) => known === number)?.[0] ?? String(number);

export function openDenialLog({ read, nameOf, log, onDenial, everyMs = usualEveryMs }: DenialLogOptions): DenialLog {
  const counts = { seen: 0, suppressed: 0, lost: 0 };
  let timer: NodeJS.Timeout | undefined;

  const named = (kind: 'policy' | 'identity', id: number): string => {
    if (id === 0) return '';
    if (kind === 'identity' && id === identityHost) return 'host';
    // A name that went with its last user meanwhile.
    return nameOf(kind, id) ?? `${kind} ${id}`;
  };
  const policyOf = (member: number): string => named('policy', member % 2 ** memberPolicyBits);
  const ruleOf = (member: number): object => (member === 0 ? {} : { rule: member >>> memberPolicyBits });
  const tell = (denial: Denial): void => {
    const event = eventOf(denial);
    const dryRun = policyOf(denial.dry_policy);
    log.info(
      {
        event,
        policy: policyOf(denial.policy),
        ...ruleOf(denial.policy),
        ...(dryRun === '' ? {} : { dryRun }),
        source: socketAddressText(denial.source, denial.source_port),
        identity: named('identity', denial.identity),
        destination: socketAddressText(denial.destination, denial.destination_port),
        protocol: protocolOf(denial.protocol),
        why: reasons[denial.why] ?? String(denial.why),
        ...(denial.lost === 0 ? {} : { lost: denial.lost }),
      },
      messages[event],
    );
  };
  const take = (denials: readonly Denial[]): void => {
    const more = new Map<string, number>();
    for (const [i, denial] of denials.entries()) {
      counts.seen++;
      counts.lost += denial.lost;
      onDenial?.(denial);
      if (i < mostLines) tell(denial);
      else {
        const policy = policyOf(denial.policy);
        more.set(policy, (more.get(policy) ?? 0) + 1);
        counts.suppressed++;
      }
    }
    if (more.size > 0)
      log.info({ event: 'denied', more: Object.fromEntries([...more].slice(0, mostLines)) }, 'more connections denied');
  };

  return {
    start() {
      timer ??= setInterval(() => take(read()), everyMs).unref();
    },
    stop() {
      if (!timer) return;
      clearInterval(timer);
      timer = undefined;
      take(read());
    },
    take,
    counts: () => ({ ...counts }),
  };
}
