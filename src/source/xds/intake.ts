// SPDX-License-Identifier: Apache-2.0
// Takes in what comes on a stream: decodes it in slices, tells it, and answers when it is applied.
import type { Change } from '../../mesh/model.ts';
import type { Report } from '../findings.ts';
import type { Tell } from '../news.ts';
import type { Resolver } from '../resolve.ts';
import { inSlices } from '../slices.ts';
import type { Timers } from '../timers.ts';
import { openDecoder } from './decode/decoder.ts';
import { writeRequest } from './decode/request.ts';
import { readResponse } from './decode/response.ts';
import { openHostnames } from './hostnames.ts';
import type { Session, Taken } from './session.ts';
import type { XdsLog, XdsSourceOptions } from './source.ts';
import type { Stream } from './transport.ts';
import type { Checked, RawResource, Request, Response, TypeName } from './types.ts';

export interface IntakeOptions {
  /** Of the source. */
  readonly name: string;
  readonly session: Session;
  readonly timers: Timers;
  readonly now: () => number;
  readonly log: XdsLog;
  readonly tell: Tell;
  readonly resolver: Resolver;
  readonly onAnswer: XdsSourceOptions['onAnswer'];
}

export interface Intake {
  /** Resolves when `stream` is over and what came on it is taken in. @returns what made it end from here, or '' */
  run(stream: Stream, events: StreamEvents): Promise<{ readonly fault: string }>;
  /** On the stream that is open, after what was sent before; without one nothing is sent. */
  send(requests: readonly Request[]): void;
  close(): void;
}

export interface StreamEvents {
  /** Its first requests are about to be written. */
  onBegin(): void;
  /** It has answered. */
  onConnected(): void;
  /** The first response of each type is applied. */
  onRead(): void;
}

/** What was wanted from the beginning delays the first news so long after the first response, at most. */
export const patienceMs = 30_000;
/**
 * No further response is read while these wait to be applied: small ones overtake a big one, but a server that is faster than this node does not
 * fill its memory.
 */
const most = { responses: 2, changes: 10_000, inAll: 64 };
/** Faults in one line of the log. */
const shownRefusals = 5;

export function openIntake(options: IntakeOptions): Intake {
  const { name, session, timers, now, log, tell, resolver, onAnswer } = options;
  const decoder = openDecoder();
  const check = (type: TypeName, raw: RawResource): Checked => {
    try {
      return decoder.check(type, raw);
    } catch (error) {
      return { ok: false, faults: [`cannot be decoded: ${error instanceof Error ? error.message : error}`] };
    }
  };

  let current: Stream | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  const under = { responses: 0, changes: 0 };
  let onRoom = () => {};
  let cancelPatience: (() => void) | undefined;
  let told = false;
  let closed = false;
  /** What came before anything was told. */
  let early: { readonly present: Iterable<string>; readonly absent: readonly string[] }[] = [];

  const send = (requests: readonly Request[]): void => {
    const stream = current;
    if (!stream) return;
    for (const request of requests) enqueue(stream, () => write(stream, request));
  };

  const write = async (stream: Stream, request: Request) => {
    const bytes = await inSlices(writeRequest(request));
    if (stream === current) stream.send(bytes);
  };

  /** One after the other, whatever each takes. */
  const enqueue = (stream: Stream, work: () => Promise<void>): void => {
    sending = sending.then(work).catch((error) => {
      log.error({ fault: String(error) }, 'a request cannot be written');
      stream.cancel();
    });
  };

  const report = (): Report => {
    const warnings = [...hostnames.unresolved()].map(([hostname, reason]) => {
      return { file: name, line: 0, column: 0, resource: `host name ${hostname}`, field: '', reason };
    });
    return { files: 0, objects: session.held, faults: [], warnings, ignored: [] };
  };

  const tellSafely = async (changes: readonly Change[]) => {
    try {
      await tell({ changes, report: report() });
    } catch (error) {
      log.error({ fault: String(error) }, 'news of the control plane got lost');
    }
  };

  const hostnames = openHostnames({
    resolver,
    timers,
    tell(changes) {
      if (!closed) void tellSafely(changes);
    },
  });

  /** Tells changes and waits until they are applied. */
  const apply = async (changes: readonly Change[]) => {
    under.responses++;
    under.changes += changes.length;
    await tellSafely(hostnames.pass(changes));
    under.responses--;
    under.changes -= changes.length;
    onRoom();
  };

  const begin = async (changes: readonly Change[]) => {
    told = true;
    cancelPatience?.();
    const answers = early;
    early = [];
    await apply(changes);
    for (const { present, absent } of answers) onAnswer?.(present, absent);
  };

  const room = () =>
    new Promise<void>((resolve) => {
      const full = () =>
        !closed &&
        ((under.responses >= most.responses && under.changes > most.changes) || under.responses >= most.inAll);
      onRoom = () => {
        if (!full()) resolve();
      };
      onRoom();
    });

  const warn = ({ type, refusals }: Taken) => {
    if (refusals.length === 0) return;
    const first = refusals.slice(0, shownRefusals).map(({ name, faults }) => `${name}: ${faults[0]}`);
    log.warn({ type, refused: refusals.length, first }, 'resources of the control plane are refused');
  };

  const deliver = async (taken: Taken, nonce: string, onApplied: () => void) => {
    const { changes, answer, present, absent } = taken;
    if (closed) return;
    const hasAnswers = onAnswer !== undefined && taken.type === 'address';
    if (hasAnswers && !told) early.push({ present, absent });
    if (taken.first && changes) await begin(changes);
    else if (changes && changes.length > 0) await apply(changes);
    if (hasAnswers && told && !taken.first) onAnswer(present, absent);
    if (answer) send(session.answer(answer));
    else log.debug({ nonce }, 'a response that cannot be answered');
    onApplied();
  };

  return {
    async run(stream, events) {
      current = stream;
      const ignored = new Set<string>();
      const applied = new Set<TypeName>();
      const onApplied = (type: TypeName) => {
        if (stream !== current || applied.has(type)) return;
        applied.add(type);
        if (applied.size === 2) events.onRead();
      };
      let fault = '';
      try {
        // What is held may be long to write, so not for a server that is not there.
        if (!(await stream.ready)) return { fault };
        enqueue(stream, async () => {
          events.onBegin();
          for (const request of await inSlices(session.open())) await write(stream, request);
        });
        await sending;
        for (;;) {
          const bytes = await stream.next();
          if (bytes === undefined) break;
          let response: Response;
          try {
            response = await inSlices(readResponse(bytes));
          } catch (error) {
            fault = error instanceof Error ? error.message : String(error);
            break;
          }
          events.onConnected();
          const taken = await inSlices(session.take(response, { at: now(), bytes: bytes.length }, check));
          const { type } = taken;
          if (type === undefined) {
            if (ignored.size < 10 && !ignored.has(response.typeUrl)) {
              log.warn({ typeUrl: response.typeUrl }, 'a response of a type that was not asked for is passed over');
            }
            ignored.add(response.typeUrl);
            continue;
          }
          warn(taken);
          if (!told) cancelPatience ??= timers.after(patienceMs, stopWaiting);
          void deliver(taken, response.nonce, () => onApplied(type));
          await room();
        }
      } finally {
        current = undefined;
        session.close();
        stream.cancel();
      }
      return { fault };
    },
    send,
    close() {
      closed = true;
      hostnames.close();
      cancelPatience?.();
      onRoom();
    },
  };

  function stopWaiting(): void {
    const changes = session.stopWaiting();
    if (changes && !closed) void begin(changes);
  }
}
