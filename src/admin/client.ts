// SPDX-License-Identifier: Apache-2.0
// The clients' side of the route table.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type ErrorCode, errorCodes, KmeshError, messageOf } from '../errors.ts';
import {
  type CallName,
  type Calls,
  type RouteName,
  routes,
  type StreamName,
  type Streams,
  socketNames,
} from './routes.ts';
import type { ErrorBody } from './types.ts';

export type AdminClient = {
  readonly [N in CallName]: (input: Calls[N]['input']) => Promise<Calls[N]['output']>;
} & {
  readonly [N in StreamName]: (input: Streams[N]['input']) => AsyncGenerator<Streams[N]['item'], void, undefined>;
};

export interface ClientOptions {
  readonly timeoutMs?: number;
  /** Whom to ask (default: the agent). */
  readonly socket?: keyof typeof socketNames;
}

/**
 * The agent whose socket is in `runDir`. Connects at each call; nothing to close.
 * Calls fail with KM_AGENT_UNREACHABLE when nothing answers, else with the agent's own code and hint.
 */
export function adminClient(runDir: string, options: ClientOptions = {}): AdminClient {
  const path = join(runDir, socketNames[options.socket ?? 'agent']);
  const patienceMs = (name: RouteName) => options.timeoutMs ?? routes[name].seconds * 1000;
  const call = async (name: RouteName, input: object): Promise<unknown> => {
    const response = await ask(path, patienceMs(name), name, input);
    const text = await bodyOf(response, path);
    const status = response.statusCode ?? 0;
    // 503 of /ready carries the same answer as 200
    if (status !== 200 && !(name === 'ready' && status === 503)) throw errorOf(text, status, path);
    return parse(text, path);
  };
  async function* stream(name: RouteName, input: object): AsyncGenerator<unknown, void, undefined> {
    const response = await ask(path, patienceMs(name), name, input);
    if (response.statusCode !== 200) throw errorOf(await bodyOf(response, path), response.statusCode ?? 0, path);
    for await (const text of linesOf(response, path)) {
      const line = parse(text, path) as { item?: unknown; end?: number; error?: ErrorBody };
      if (line.error) throw errorOf(JSON.stringify(line.error), 500, path);
      if (line.end !== undefined) return;
      yield line.item;
    }
    throw unreachable(path, new Error('the answer was cut off'));
  }
  const made = Object.entries(routes).map(([name, route]) => [
    name,
    (input: object) => (route.stream ? stream : call)(name as RouteName, input),
  ]);
  // The table lists every name of Calls and Streams; each function's shape follows from route.stream.
  return Object.fromEntries(made) as AdminClient;
}

function ask(socketPath: string, timeoutMs: number, name: RouteName, input: object): Promise<IncomingMessage> {
  const route = routes[name];
  const given = Object.entries(input).filter(([, value]) => value !== undefined);
  const query =
    route.method === 'GET'
      ? new URLSearchParams(given.map(([k, v]): [string, string] => [k, String(v)])).toString()
      : '';
  return new Promise((done, fail) => {
    const request = httpRequest({
      socketPath,
      method: route.method,
      path: query === '' ? route.path : `${route.path}?${query}`,
      headers: { host: 'agent', connection: 'close' },
      agent: false,
    });
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    request.once('response', (response) => {
      clearTimeout(timer);
      done(response);
    });
    request.once('error', (cause) => {
      clearTimeout(timer);
      fail(unreachable(socketPath, cause));
    });
    request.end(route.method === 'POST' ? JSON.stringify(Object.fromEntries(given)) : undefined);
  });
}

function bodyOf(response: IncomingMessage, path: string): Promise<string> {
  return new Promise((done, fail) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (part: string) => {
      text += part;
    });
    response.once('end', () =>
      response.complete ? done(text) : fail(unreachable(path, new Error('the answer was cut off'))),
    );
    response.once('error', (cause) => fail(unreachable(path, cause)));
  });
}

async function* linesOf(response: IncomingMessage, path: string): AsyncGenerator<string, void, undefined> {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const part of response as AsyncIterable<string>) {
      const lines = (rest + part).split('\n');
      rest = lines.pop() as string;
      yield* lines;
    }
  } catch (cause) {
    throw unreachable(path, cause);
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreachable(path, cause);
  }
}

function errorOf(text: string, status: number, path: string): KmeshError {
  const body = parse(text, path) as Partial<ErrorBody>;
  // An agent of another version may know codes that this one does not.
  const code = (Object.hasOwn(errorCodes, body.code ?? '') ? body.code : 'KM_INTERNAL') as ErrorCode;
  const message = body.message ?? `the agent answered with status ${status}`;
  return new KmeshError(code, message, body.hint === undefined ? {} : { hint: body.hint });
}

/** No socket, or nobody behind it. */
export function isNobody(fault: KmeshError): boolean {
  const code = (fault.cause as NodeJS.ErrnoException | undefined)?.code;
  return fault.code === 'KM_AGENT_UNREACHABLE' && (code === 'ENOENT' || code === 'ECONNREFUSED');
}

function unreachable(path: string, cause: unknown): KmeshError {
  const { code } = cause as { code?: string };
  const why = messageOf(cause);
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? 'only the user who runs the agent may ask it: try as root'
      : code === 'ENOENT' || code === 'ECONNREFUSED'
        ? 'start it with "kmeshctl agent", or give its --run-dir'
        : "see the agent's log";
  return new KmeshError('KM_AGENT_UNREACHABLE', `no agent answers on "${path}": ${why}`, { hint, cause });
}
