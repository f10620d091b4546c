// SPDX-License-Identifier: Apache-2.0
// A cluster over its REST API. The client library knows kubeconfigs, credentials and TLS; paths and verbs are few enough to be
// written here, which keeps every status code and every field of an answer.
import { setTimeout as pause } from 'node:timers/promises';
import type { KubeConfig, RequestContext, ResponseContext } from '@kubernetes/client-node';
import type { Env } from '../env.ts';
import { KmeshError, messageOf } from '../errors.ts';
import { type Cluster, type ClusterFlags, ownFieldManager } from './cluster.ts';
import { type Answer, faultOf, isMissing, silence } from './fault.ts';
import { readKubeconfig, requireNamedFiles } from './kubeconfig.ts';
import type { Kind, KubeObject } from './object.ts';

/** A server that takes a request and says nothing is given up after this. */
const requestSeconds = 15;
/** Between a refusal and the next try. */
const leastWaitMs = 100;
/** Objects of a list that are asked for at once. */
const pageSize = 500;

interface Request {
  readonly method: 'GET' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly type?: string;
}

type Send = (request: Request) => Promise<Answer>;

export async function openCluster(env: Env, flags: ClusterFlags, seconds = requestSeconds): Promise<Cluster> {
  const config = await readKubeconfig(env, flags);
  return clusterOver(await sender(config, seconds), contextNamespace(config));
}

const contextNamespace = (config: KubeConfig): string =>
  config.getContextObject(config.getCurrentContext())?.namespace || 'default';

async function sender(config: KubeConfig, seconds: number): Promise<Send> {
  const client = await import('@kubernetes/client-node');
  const http = new client.IsomorphicFetchHttpLibrary();
  const server = (config.getCurrentCluster()?.server ?? '').replace(/\/+$/, '');
  return async ({ method, path, query = {}, body, type }) => {
    const limit = AbortSignal.timeout(seconds * 1000);
    const started = performance.now();
    try {
      const context = new client.RequestContext(server + path, client.HttpMethod[method]);
      for (const [key, value] of Object.entries(query)) context.setQueryParam(key, value);
      context.setHeaderParam('Accept', 'application/json');
      if (body !== undefined) {
        context.setHeaderParam('Content-Type', type ?? 'application/json');
        context.setBody(JSON.stringify(body));
      }
      context.setSignal(limit);
      await authenticate(config, context);
      for (;;) {
        const response = await http.send(context).toPromise();
        const answer = { code: response.httpStatusCode, body: parsed(await response.body.text()) };
        const wait = askedWait(response);
        // No more than this request may take: then the refusal is the answer.
        if (wait === undefined || performance.now() - started + wait > seconds * 1000) return answer;
        await pause(wait, undefined, { signal: limit });
      }
    } catch (error) {
      if (error instanceof KmeshError) throw error;
      throw silence(server, error, limit.aborted, seconds);
    }
  };
}

/** Milliseconds after which a server that has too much to do wants to be asked again: it has done nothing so far. */
function askedWait({ httpStatusCode, headers }: ResponseContext): number | undefined {
  if (httpStatusCode !== 429 && httpStatusCode !== 503) return undefined;
  const seconds = /^\d{1,6}$/.exec(headers['retry-after'] ?? '')?.[0];
  // None at all would be asked without end.
  return seconds === undefined ? undefined : Math.max(Number(seconds) * 1000, leastWaitMs);
}

/** Programs and files that a kubeconfig names may fail. */
async function authenticate(config: KubeConfig, context: RequestContext): Promise<void> {
  requireNamedFiles(config);
  try {
    await config.applySecurityAuthentication(context);
  } catch (error) {
    throw new KmeshError('KM_KUBE', `no credentials for the Kubernetes API: ${messageOf(error)}`, { cause: error });
  }
}

interface Page extends KubeObject {
  readonly items?: KubeObject[] | null;
  readonly metadata: KubeObject['metadata'] & { readonly continue?: string };
}

const isPage = ({ items }: Page): boolean => (Array.isArray(items) ? items.every(isKubeObject) : !items);

/** Proxies and unknown paths answer plain text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const ok = ({ code }: Answer): boolean => code >= 200 && code < 300;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

function isKubeObject(value: unknown): value is KubeObject {
  if (!isObject(value)) return false;
  const { metadata, spec, status } = value as Partial<KubeObject>;
  if (!isObject(metadata)) return false;
  const { labels, annotations } = metadata;
  return [labels, annotations, spec, status].every((one) => one === undefined || isObject(one));
}

/** What a success says is there. A proxy in between may answer anything. */
function objectIn({ body }: Answer, what: string): KubeObject {
  if (isKubeObject(body)) return body;
  throw strange(what);
}

const strange = (what: string): KmeshError =>
  new KmeshError('KM_KUBE', `${what}: the answer is none of the Kubernetes API`, {
    hint: 'is this the right server? --context chooses another',
  });

const pathOf = ({ apiVersion, plural }: Kind, namespace: string | undefined, name?: string): string =>
  [
    apiVersion.includes('/') ? '/apis' : '/api',
    apiVersion,
    ...(namespace === undefined ? [] : ['namespaces', segment(namespace)]),
    plural,
    ...(name === undefined ? [] : [segment(name)]),
  ].join('/');

/** Of a path: what is nothing, or leads up, would make it that of something else, as of all namespaces. */
function segment(name: string): string {
  if (name !== '' && name !== '.' && name !== '..') return encodeURIComponent(name);
  throw new KmeshError('KM_USAGE', `"${name}" is no name of anything in a cluster`);
}

const shownAs = ({ singular }: Kind, name: string, namespace: string | undefined): string =>
  `${singular} ${namespace === undefined ? '' : `${namespace}/`}${name}`;

function clusterOver(send: Send, namespace: string): Cluster {
  const target = (kind: Kind, { metadata }: KubeObject) => ({
    path: pathOf(kind, metadata.namespace, metadata.name),
    shown: shownAs(kind, metadata.name, metadata.namespace),
  });
  const dry = (dryRun: boolean): Record<string, string> => (dryRun ? { dryRun: 'All' } : {});
  return {
    namespace,
    async get(kind, name, within) {
      const answer = await send({ method: 'GET', path: pathOf(kind, within, name) });
      if (isMissing(answer, name)) return undefined;
      if (!ok(answer)) throw faultOf(answer, kind, shownAs(kind, name, within));
      return objectIn(answer, shownAs(kind, name, within));
    },
    async list(kind, { namespace: within, labels }) {
      const items: KubeObject[] = [];
      let more: string | undefined;
      let whole = false;
      for (;;) {
        const query = {
          ...(whole ? {} : { limit: String(pageSize) }),
          ...(labels === undefined ? {} : { labelSelector: labels }),
          ...(more === undefined ? {} : { continue: more }),
        };
        const answer = await send({ method: 'GET', path: pathOf(kind, within), query });
        // The server has let go of the state that the first page was of: once, all anew and in one piece.
        if (answer.code === 410 && more !== undefined && !whole) {
          items.length = 0;
          more = undefined;
          whole = true;
          continue;
        }
        if (!ok(answer)) throw faultOf(answer, kind, `list of ${kind.plural}`);
        const page = objectIn(answer, `list of ${kind.plural}`) as Page;
        const next = page.metadata.continue || undefined;
        // Who names the page that was just asked for would have it asked for without end.
        if (!isPage(page) || (next !== undefined && next === more)) throw strange(`list of ${kind.plural}`);
        for (const item of page.items ?? []) items.push(item);
        if (next === undefined) return items;
        more = next;
      }
    },
    async apply(kind, object, { dryRun, force }) {
      const { path, shown } = target(kind, object);
      const query = { fieldManager: ownFieldManager, force: String(force), ...dry(dryRun) };
      const type = 'application/apply-patch+yaml';
      const answer = await send({ method: 'PATCH', path, query, type, body: object });
      if (!ok(answer)) throw faultOf(answer, kind, shown);
      return objectIn(answer, shown);
    },
    async applyStatus(kind, object) {
      const { path, shown } = target(kind, object);
      const query = { fieldManager: ownFieldManager, force: 'true' };
      const type = 'application/apply-patch+yaml';
      const answer = await send({ method: 'PATCH', path: `${path}/status`, query, type, body: object });
      if (!ok(answer)) throw faultOf(answer, kind, `status of ${shown}`);
      return objectIn(answer, `status of ${shown}`);
    },
    async label(kind, object, labels, { dryRun }) {
      const { path, shown } = target(kind, object);
      const { resourceVersion } = object.metadata;
      const answer = await send({
        method: 'PATCH',
        path,
        query: { fieldManager: ownFieldManager, ...dry(dryRun) },
        type: 'application/merge-patch+json',
        body: { metadata: { resourceVersion, labels } },
      });
      if (!ok(answer)) throw faultOf(answer, kind, shown);
      return objectIn(answer, shown);
    },
    async remove(kind, object, { dryRun }) {
      const { path, shown } = target(kind, object);
      // What a query says is not looked at where there is a body.
      const body = { preconditions: { uid: object.metadata.uid }, ...(dryRun ? { dryRun: ['All'] } : {}) };
      const answer = await send({ method: 'DELETE', path, body });
      if (isMissing(answer, object.metadata.name)) return false;
      if (!ok(answer)) throw faultOf(answer, kind, shown);
      return true;
    },
  };
}
