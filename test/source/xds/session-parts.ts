// SPDX-License-Identifier: Apache-2.0
// Short ways to run a session by hand.
import { gatewayKey } from '../../../src/mesh/gateway.ts';
import type { Change } from '../../../src/mesh/model.ts';
import type { Policy } from '../../../src/mesh/policy.ts';
import { routeKey } from '../../../src/mesh/route.ts';
import { closingPolicy } from '../../../src/source/xds/closing.ts';
import { typeOf } from '../../../src/source/xds/reading.ts';
import {
  type Answer,
  openSession,
  type Session,
  type SessionOptions,
  type Taken,
} from '../../../src/source/xds/session.ts';
import {
  type Checked,
  type RawResource,
  type Request,
  type Response,
  type TypeName,
  typeUrls,
} from '../../../src/source/xds/types.ts';

export const node = { id: 'ztunnel~10.0.0.1~a.b~b.svc.cluster.local', metadata: {} };

export function begin(options: Partial<SessionOptions> = {}): Session {
  return openSession({ node, onDemand: false, ...options });
}

/** Runs long work to its end. */
export function done<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export const open = (session: Session): readonly Request[] => done(session.open());

/** "name@version"; one with "!" in its version is refused, one with "s" in front of it is a service; other names after "=". */
export function resource(text: string, type: TypeName = 'address'): RawResource {
  const [head = '', ...aliases] = text.split('=');
  const [name = '', version = ''] = head.split('@');
  return { name, version, aliases, typeUrl: typeUrls[type], bytes: new Uint8Array(), start: 0, end: 0 };
}

export function response(
  type: TypeName | 'other',
  nonce: string,
  resources: readonly string[] = [],
  removed: readonly string[] = [],
): Response {
  const typeUrl = type === 'other' ? 'type.googleapis.com/other' : typeUrls[type];
  const raws = resources.map((text) => resource(text, type === 'other' ? 'address' : type));
  return { typeUrl, nonce, systemVersion: `of ${nonce}`, resources: raws, removed };
}

/** Stands for the decoder: the version says whether a resource is good. */
export function check(type: TypeName, raw: RawResource): Checked {
  if (raw.version.includes('!')) {
    const faults = [`${raw.version} is bad`, 'so is this'];
    return {
      ok: false,
      faults,
      ...(type === 'authorization' && { closing: closingPolicy(raw.name, undefined, faults) }),
    };
  }
  const fake = { name: raw.name, namespace: '' };
  const change = (
    type === 'authorization'
      ? { kind: 'put-policy', policy: fake }
      : raw.version.startsWith('s')
        ? { kind: 'put-service', service: fake }
        : { kind: 'put-workload', workload: fake }
  ) as Change;
  return { ok: true, change };
}

export function take(session: Session, given: Response): Taken {
  return takeAt(session, given, session.expect());
}

/** The same of one that came before others that were taken in already, which told of `later`. */
export function takeAt(session: Session, given: Response, place: Answer, ...later: string[]): Taken {
  const type = typeOf(given) ?? 'address';
  const checked = given.resources.map((raw) => check(type, raw));
  return done(session.take(given, { at: 1000, bytes: 100, place, later: new Set(later) }, checked));
}

/** Takes a response in and answers it. */
export function takeAndAnswer(session: Session, given: Response): { taken: Taken; sent: readonly Request[] } {
  const place = session.expect();
  const taken = takeAt(session, given, place);
  return { taken, sent: session.answer(place) };
}

/** Nothing came for a while. */
export const settle = (session: Session, type: TypeName = 'address'): Taken => done(session.settle(type));

export function refusedOf(session: Session) {
  return session.status().flatMap(({ refused }) => refused);
}

/** "+workload a", "-service b", "+policy shop/c closes", "+policy d stale". */
export function texts(changes: readonly Change[] | undefined): string[] | undefined {
  return changes?.map(textOf);
}

function textOf(change: Change): string {
  switch (change.kind) {
    case 'put-workload':
      return `+workload ${change.workload.name}`;
    case 'put-service':
      return `+service ${change.service.name}`;
    case 'put-policy':
      return `+policy ${policyText(change.policy)}`;
    case 'remove-workload':
      return `-workload ${change.uid}`;
    case 'remove-service':
      return `-service ${change.key}`;
    case 'remove-policy':
      // Names without a namespace have a key that begins with a slash.
      return `-policy ${change.key.replace(/^\//, '')}`;
    case 'put-gateway':
      return `+gateway ${gatewayKey(change.gateway)}`;
    case 'remove-gateway':
      return `-gateway ${change.key}`;
    case 'put-route':
      return `+route ${routeKey(change.route)}`;
    case 'remove-route':
      return `-route ${change.key}`;
  }
}

function policyText({ namespace, name, fault }: Policy): string {
  const key = namespace === '' ? name : `${namespace}/${name}`;
  return fault ? `${key} ${fault.kind === 'refused' ? 'closes' : fault.kind}` : key;
}

/** A session whose first stream has told these addresses and no policy. */
export function started(addresses: readonly string[], options: Partial<SessionOptions> = {}): Session {
  const session = begin(options);
  open(session);
  takeAndAnswer(session, response('address', 'n1', addresses));
  takeAndAnswer(session, response('authorization', 'n2'));
  return session;
}
