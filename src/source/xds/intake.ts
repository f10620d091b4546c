// SPDX-License-Identifier: Apache-2.0
// Takes in what comes on a stream: decodes it in slices, tells it, and answers when it is applied.
import { messageOf, stackOf } from '../../errors.ts';
import type { Change } from '../../mesh/model.ts';
import type { Report } from '../findings.ts';
import type { Tell } from '../news.ts';
import type { Resolver } from '../resolve.ts';
import { inSlices } from '../slices.ts';
import type { Timers } from '../timers.ts';
import { openBacklog } from './backlog.ts';
import { closingPolicy } from './closing.ts';
import { openDecoder } from './decode/decoder.ts';
import { writeRequest } from './decode/request.ts';
import { openHostnames } from './hostnames.ts';
import { openReading, type Read, shortSliceMs } from './reading.ts';
import { openRefusalLog } from './refusal-log.ts';
import { type Answer, nothing, type Session, type Taken } from './session.ts';
import { openSettling } from './settling.ts';
import type { Stream } from './transport.ts';
import type { Checked, OnAnswer, RawResource, Request, TypeName, XdsLog } from './types.ts';

export interface IntakeOptions {
  /** Of the source. */
  readonly name: string;
  readonly session: Session;
  readonly timers: Timers;
  readonly now: () => number;
  readonly log: XdsLog;
  readonly tell: Tell;
  readonly resolver: Resolver;
  readonly onAnswer: OnAnswer | undefined;
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

/** `concerned`: places of the changes that are about host names. */
interface Looked extends Taken {
  readonly concerned: readonly number[];
}

/** What was wanted from the beginning delays the first news so long after the first response, at most. */
export const patienceMs = 30_000;
/** Unknown types that are told of, on one stream. */
const mostIgnored = 10;

export function openIntake(options: IntakeOptions): Intake {
  const { name, session, timers, now, log, tell, resolver, onAnswer } = options;
  const decoder = openDecoder();
  const check = (type: TypeName, raw: RawResource): Checked => {
    try {
      return decoder.check(type, raw);
    } catch (error) {
      const faults = [`cannot be decoded: ${messageOf(error)}`];
      return {
        ok: false,
        faults,
        ...(type === 'authorization' && { closing: closingPolicy(raw.name, undefined, faults) }),
      };
    }
  };

  let current: Stream | undefined;
  let sending: Promise<unknown> = Promise.resolve();
  const backlog = openBacklog();
  const settling = openSettling(timers);
  const warn = openRefusalLog(log);
  let cancelPatience: (() => void) | undefined;
  let told = false;
  let closed = false;
  /** Names answered before anything was told, and whether there is something for them. */
  let early = new Map<string, boolean>();
  /** Why the stream that is open is given up. */
  let broken = '';
  /** Only one thing at a time changes the session where that takes several slices. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  };
  /** In turn, after what is being read. */
  let afterwards = inTurn;

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

  /** @returns false when the changes were not taken up: what they are about has to come again, with another stream */
  const tellSafely = async (changes: () => readonly Change[]): Promise<boolean> => {
    try {
      await tell({ changes: changes(), report: report() });
      return true;
    } catch (error) {
      if (!closed) giveUp(error);
      return false;
    }
  };

  const giveUp = (error: unknown) => {
    log.error({ fault: stackOf(error) }, 'news of the control plane got lost');
    broken = `what came could not be taken up: ${messageOf(error)}`;
    current?.cancel();
  };

  const hostnames = openHostnames({
    resolver,
    timers,
    async tell(changes) {
      if (closed || (await tellSafely(() => changes))) return;
      session.loseWorkloads(changes.flatMap((c) => (c.kind === 'put-workload' ? c.workload.uid : [])));
    },
  });

  /** Tells changes and waits until they are applied. */
  const apply = async (changes: readonly Change[], concerned: readonly number[]): Promise<boolean> => {
    const over = backlog.changes(changes.length);
    const taken = await tellSafely(() => hostnames.pass(changes, concerned));
    over();
    return taken;
  };

  const begin = async (changes: readonly Change[], concerned: readonly number[]): Promise<boolean> => {
    told = true;
    cancelPatience?.();
    cancelPatience = undefined;
    const answers = [...early];
    early = new Map();
    if (!(await apply(changes, concerned))) {
      told = false;
      return false;
    }
    if (answers.length > 0) {
      const named = (there: boolean) => answers.flatMap(([text, is]) => (is === there ? text : []));
      onAnswer?.(named(true), named(false));
    }
    return true;
  };

  /** What was taken, with what of it is about host names. To be delivered before anything else of these names is. */
  const looked = async (taken: Taken, slice?: number): Promise<Looked> => {
    const { changes } = taken;
    return { ...taken, concerned: changes ? await inSlices(hostnames.concerned(changes), slice) : [] };
  };

  const deliver = async (taken: Looked): Promise<boolean> => {
    const { changes, concerned, present, absent } = taken;
    if (closed) return false;
    const hasAnswers = onAnswer !== undefined && taken.type === 'address';
    if (hasAnswers && !told) {
      for (const text of present) early.set(text, true);
      for (const text of absent) early.set(text, false);
    }
    const first = taken.first && changes !== undefined;
    const done = first
      ? await begin(changes, concerned)
      : !changes || changes.length === 0 || (await apply(changes, concerned));
    if (!done) {
      session.lose(taken);
      return false;
    }
    if (hasAnswers && told && !first) onAnswer(present, absent);
    return true;
  };

  /** Delivers and answers. What is not taken up is not answered: it comes again. */
  const respond = async (taken: Looked, place?: Answer, onApplied?: () => void): Promise<void> => {
    try {
      if (!(await deliver(taken))) return;
      if (place) send(session.answer(place));
      if (place && !taken.answer) log.debug({ type: taken.type }, 'a response that cannot be answered');
      onApplied?.();
    } catch (error) {
      giveUp(error);
    }
  };

  /** What is gone is told only once it is sure that the server has said everything. */
  const settleLater = (type: TypeName): void => {
    if (!session.unsettled.includes(type)) {
      settling.stop(type);
      return;
    }
    settling.wait(type, () => {
      const stream = current;
      afterwards(async () => {
        if (stream !== current || closed) return;
        void respond(await looked(await inSlices(session.settle(type))));
      }).catch(giveUp);
    });
  };

  return {
    async run(stream, events) {
      current = stream;
      broken = '';
      const ignored = new Set<string>();
      const passOver = (typeUrl: string) => {
        if (ignored.size < mostIgnored && !ignored.has(typeUrl)) {
          log.warn({ typeUrl }, 'a response of a type that was not asked for is passed over');
          ignored.add(typeUrl);
        }
      };
      const applied = new Set<TypeName>();
      const onApplied = (type: TypeName) => {
        if (stream !== current || applied.has(type)) return;
        applied.add(type);
        if (applied.size === 2) events.onRead();
      };
      let fault = '';
      const take = async ({ response, checked, bytes, over, ...facts }: Read) => {
        // After bytes that are no response nothing counts.
        if (fault !== '') return over();
        events.onConnected();
        const { place } = facts;
        const slice = session.following ? shortSliceMs : undefined;
        const news = session.take(response, { ...facts, bytes: bytes.length }, checked);
        const taken = await looked(await inSlices(news, slice), slice);
        const { type } = taken;
        if (type === undefined) {
          passOver(response.typeUrl);
          send(session.answer(place));
        } else {
          warn(type, taken.refusals);
          if (!told) cancelPatience ??= timers.after(patienceMs, stopWaiting);
          settleLater(type);
          // In the turn still, so that what comes next is told next.
          void respond(taken, place, () => onApplied(type));
        }
        over();
      };
      const reading = openReading({ check, mayOvertake: () => session.following, take, inTurn });
      afterwards = reading.afterwards;
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
          const over = backlog.unread(bytes.length);
          reading.add({ bytes, at: now(), place: session.expect(), over }).catch((error) => {
            fault ||= messageOf(error);
            stream.cancel();
            over();
          });
          await backlog.room();
        }
      } finally {
        current = undefined;
        settling.stopAll();
        // What is under way would change what the next stream begins with.
        await reading.idle();
        await turn;
        session.close();
        stream.cancel();
      }
      return { fault: fault || broken };
    },
    send,
    close() {
      closed = true;
      hostnames.close();
      settling.stopAll();
      cancelPatience?.();
      backlog.close();
    },
  };

  function stopWaiting(): void {
    cancelPatience = undefined;
    inTurn(async () => {
      const changes = await inSlices(session.stopWaiting());
      if (changes) void respond(await looked({ ...nothing, first: true, changes }));
    }).catch(giveUp);
  }
}
