// SPDX-License-Identifier: Apache-2.0
// A real Kubernetes API server for tests (test/kube): started, given resource definitions, written to as others would.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { describe } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Kind, KubeObject } from '../../src/kube/object.ts';
import { project } from './project.ts';

const built = join(project, '.cache/kube');
const program = join(built, 'kube-harness');

function kubeMissing(): string | undefined {
  if (existsSync(program)) return undefined;
  const why = join(built, 'missing');
  return existsSync(why) ? readFileSync(why, 'utf8').trim() : 'scripts/build-kube.sh has not been run';
}

/** A `describe` whose tests count as skipped on a machine where the API server cannot be built. */
export function withKube(name: string, body: () => void): void {
  const missing = kubeMissing();
  if (missing !== undefined) process.stderr.write(`skipped, no Kubernetes API server: ${missing}\n`);
  (missing === undefined ? describe : describe.skip)(name, body);
}

interface Reply {
  readonly code: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface KubeApi {
  readonly server: string;
  readonly folder: string;
  /** A kubeconfig whose context has this namespace and user. */
  kubeconfig(of?: { readonly namespace?: string; readonly user?: 'admin' | 'viewer' }): string;
  ask(method: string, path: string, body?: unknown, type?: string): Promise<Reply>;
  /** Takes up the definition of a kind, as "gateways.gateway.networking.k8s.io", and waits until it is served. */
  define(name: string): Promise<void>;
  /** Server-side apply by `manager`; unknown fields are refused. */
  put(kind: Kind, object: KubeObject, manager?: string): Promise<void>;
  get(kind: Kind, name: string, namespace?: string): Promise<KubeObject | undefined>;
  setStatus(kind: Kind, object: KubeObject, status: unknown): Promise<void>;
  close(): Promise<void>;
}

const APPLY = 'application/apply-patch+yaml';

export async function startKube(): Promise<KubeApi> {
  const folder = mkdtempSync(join(tmpdir(), 'km-kube-'));
  const child = spawn(program, ['--dir', folder], { stdio: ['pipe', 'pipe', 'pipe'] });
  const close = async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  let server: string;
  try {
    server = await firstLine(child);
  } catch (error) {
    await close();
    throw error;
  }
  const ca = readFileSync(join(folder, 'certs/apiserver.crt'), 'utf8');
  const ask: KubeApi['ask'] = (method, path, body, type = 'application/json') =>
    new Promise((done, failed) => {
      const headers = { authorization: 'Bearer admin-token', 'content-type': type };
      const sent = request(server + path, { method, ca, headers }, (response) => {
        let text = '';
        response.on('data', (part) => {
          text += part;
        });
        response.on('end', () => done({ code: response.statusCode ?? 0, body: objectIn(text) }));
      });
      sent.on('error', failed);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const must = async (...request: Parameters<typeof ask>): Promise<Reply['body']> => {
    const { code, body } = await ask(...request);
    if (code >= 300) throw new Error(`${request[0]} ${request[1]}: ${code} ${JSON.stringify(body)}`);
    return body;
  };
  const definitions = new Map(
    parseAllDocuments(readFileSync(join(built, 'definitions.yaml'), 'utf8')).flatMap((document) => {
      const object = document.toJS() as KubeObject | null;
      return object?.kind === 'CustomResourceDefinition' ? [[object.metadata.name, object] as const] : [];
    }),
  );
  return {
    server,
    folder,
    kubeconfig({ namespace, user = 'admin' } = {}) {
      const file = join(folder, `kubeconfig-${user}-${namespace ?? ''}`);
      const cluster = { server, 'certificate-authority': join(folder, 'certs/apiserver.crt') };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'test', cluster }],
        users: [{ name: user, user: { token: `${user}-token` } }],
        contexts: [
          { name: 'test', context: { cluster: 'test', user, ...(namespace === undefined ? {} : { namespace }) } },
        ],
        'current-context': 'test',
      };
      writeFileSync(file, JSON.stringify(config));
      return file;
    },
    ask,
    async define(name) {
      const definition = definitions.get(name);
      if (definition === undefined) throw new Error(`no definition of ${name}`);
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
      await must('PATCH', `${path}?fieldManager=test`, definition, APPLY);
      const [plural, ...group] = name.split('.');
      const versions = (definition.spec?.versions ?? []) as readonly {
        readonly name: string;
        readonly served: boolean;
      }[];
      for (const { name: version } of versions.filter(({ served }) => served)) {
        while ((await ask('GET', `/apis/${group.join('.')}/${version}/${plural}`)).code !== 200) await pause(50);
      }
    },
    async put(kind, object, manager = 'test') {
      await must(
        'PATCH',
        `${pathOf(kind, object.metadata)}?fieldManager=${manager}&fieldValidation=Strict`,
        object,
        APPLY,
      );
    },
    async get(kind, name, namespace) {
      const { code, body } = await ask(
        'GET',
        pathOf(kind, { name, ...(namespace === undefined ? {} : { namespace }) }),
      );
      return code === 200 ? (body as unknown as KubeObject) : undefined;
    },
    async setStatus(kind, { metadata }, status) {
      await must('PATCH', `${pathOf(kind, metadata)}/status`, { status }, 'application/merge-patch+json');
    },
    close,
  };
}

const pathOf = (
  { apiVersion, plural }: Kind,
  { name, namespace }: { readonly name: string; readonly namespace?: string },
) => {
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `/${apiVersion === 'v1' ? 'api' : 'apis'}/${apiVersion}${scope}/${plural}/${name}`;
};

function objectIn(text: string): Reply['body'] {
  try {
    return JSON.parse(text);
  } catch {
    return { text };
  }
}

/** The address it serves at, once it does. */
function firstLine(child: ChildProcess): Promise<string> {
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    said = (said + part.toString()).slice(-4000);
  });
  return new Promise((ready, failed) => {
    const { stdout } = child;
    if (stdout) createInterface({ input: stdout }).once('line', (line) => ready(JSON.parse(line).server));
    child.once('exit', () => failed(new Error(`the API server ended:\n${said}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
