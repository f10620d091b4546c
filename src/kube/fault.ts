// SPDX-License-Identifier: Apache-2.0
// Answers that are failures, as faults that say what to do.
import { KmeshError, messageOf } from '../errors.ts';
import type { Kind } from './object.ts';

/** What the API answers in place of an object: the members that are used. A proxy in between may write what it likes. */
interface Status {
  readonly message: string;
  readonly details: { readonly name: string; readonly kind: string };
  readonly causes: readonly { readonly reason: string; readonly message: string; readonly field: string }[];
}

export interface Answer {
  readonly code: number;
  readonly body: unknown;
}

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function statusOf({ body }: Answer): Status {
  const said = fieldsOf(body);
  const { message, details } = said.kind === 'Status' ? said : {};
  const { name, kind, causes } = fieldsOf(details);
  return {
    message: textOf(message),
    details: { name: textOf(name), kind: textOf(kind) },
    causes: (Array.isArray(causes) ? causes : []).map(fieldsOf).map((cause) => ({
      reason: textOf(cause.reason),
      message: textOf(cause.message),
      field: textOf(cause.field),
    })),
  };
}

/** The thing itself is not there; the kind is, and the namespace. */
export const isMissing = (answer: Answer, name: string): boolean =>
  answer.code === 404 && statusOf(answer).details.name === name;

/** Whether asking again later may help. */
export const isPassing = (fault: unknown): boolean => fault instanceof KmeshError && fault.facts.passing === 1;

/** "kubectl" -> its fields, from the causes of a conflict. */
function owners(status: Status): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { reason, message, field } of status.causes) {
    if (reason !== 'FieldManagerConflict') continue;
    const manager = /conflict with "([^"]*)"/.exec(message)?.[1] ?? message;
    found.set(manager, [...(found.get(manager) ?? []), field]);
  }
  return found;
}

export function faultOf(answer: Answer, kind: Kind, what: string): KmeshError {
  const status = statusOf(answer);
  const said = status.message || `HTTP status ${answer.code}`;
  if (answer.code === 409) {
    const fields = [...owners(status)].map(([manager, own]) => `"${manager}" owns ${own.join(', ')}`);
    if (fields.length > 0) {
      return new KmeshError(
        'KM_CONFLICT',
        `${what}: other field managers own what should be written: ${fields.join('; ')}`,
        {
          hint: '--force-conflicts takes these fields over',
        },
      );
    }
    return new KmeshError('KM_CONFLICT', `${what} was changed by somebody else meanwhile`, { hint: 'run it again' });
  }
  if (answer.code === 404) {
    const { kind: missing, name } = status.details;
    if (missing === 'namespaces' && name !== '') {
      return new KmeshError('KM_NOT_FOUND', `there is no namespace "${name}"`, {
        hint: `kubectl create namespace ${name}`,
      });
    }
    return new KmeshError('KM_KUBE', `the cluster does not know ${kind.plural} (${kind.apiVersion})`, {
      ...(kind.from === undefined ? {} : { hint: `install the resource definitions of ${kind.from}` }),
    });
  }
  const hints: Readonly<Record<number, string>> = {
    401: 'the credentials of the kubeconfig are not accepted, or have expired',
    403: 'the user of this context may not do that',
  };
  const hint = hints[answer.code];
  const passing = answer.code >= 500 || answer.code === 429;
  return new KmeshError('KM_KUBE', `${what}: ${said}`, {
    ...(hint === undefined ? {} : { hint }),
    facts: { status: answer.code, passing: passing ? 1 : 0 },
  });
}

/** No answer at all. */
export function silence(server: string, error: unknown, timedOut: boolean, seconds: number): KmeshError {
  const why = timedOut ? `no answer within ${seconds} s` : reasonOf(error);
  return new KmeshError('KM_KUBE', `cannot reach the Kubernetes API at ${server}: ${why}`, {
    hint: 'is it running, and is this the right context? --context chooses another',
    cause: error,
    facts: { passing: 1 },
  });
}

/** The last part of "request to https://… failed, reason: connect ECONNREFUSED …". */
const reasonOf = (error: unknown): string => messageOf(error).replace(/^request to .* failed, reason: /, '');
