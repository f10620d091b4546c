// SPDX-License-Identifier: Apache-2.0
// Certificates of the port where proxies of waypoints are told, from files that may be replaced at any time.
import type { AdsTls } from '../../admin/waypoint.ts';
import { fileFault, KmeshError, messageOf } from '../../errors.ts';
import { readPlainFileAtOnce } from '../../plain-file.ts';
import { type Certificates, TlsCredentials } from '../../waypoint/credentials.ts';
import type { WaypointServerLog } from '../../waypoint/server-log.ts';
import { requireTogether, type TlsFiles } from './tls-files.ts';

export interface Tls {
  readonly kind: AdsTls;
  readonly credentials: TlsCredentials;
  /** Reads the files again; those of before stay when they cannot be used. */
  reload(): void;
  close(): void;
}

/** How often the files are looked at: whoever renews certificates replaces them hours before they end. */
const everyMs = 60_000;

/**
 * Undefined: no files are named. `flag`: what the flags begin with, "--" or "--waypoint-ads-".
 * @throws KmeshError KM_USAGE, KM_IO, KM_CONFIG
 */
export function openTls(files: TlsFiles, flag: string, log: WaypointServerLog): Tls | undefined {
  const { tlsCert, tlsKey, clientCa } = files;
  requireTogether(files, flag);
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const readAll = (): Certificates => ({
    cert: read(tlsCert, 'certificate'),
    key: read(tlsKey, 'key'),
    ...(clientCa !== undefined && { ca: read(clientCa, 'certificate') }),
  });
  let used = readAll();
  const credentials = made(() => new TlsCredentials(used), tlsCert);
  let fault = '';
  const reload = (): void => {
    try {
      const now = readAll();
      const isNew = !isSame(now, used);
      if (isNew) made(() => credentials.replace(now), tlsCert);
      fault = '';
      if (!isNew) return;
      used = now;
      log.info({ file: tlsCert }, 'certificates are replaced');
    } catch (error) {
      const text = messageOf(error);
      if (text !== fault)
        log.warn({ file: tlsCert, reason: text }, 'certificates cannot be used: those of before stay');
      fault = text;
    }
  };
  const timer = setInterval(reload, everyMs).unref();
  return {
    kind: clientCa === undefined ? 'server' : 'mutual',
    credentials,
    reload,
    close: () => clearInterval(timer),
  };
}

function read(path: string, what: 'certificate' | 'key'): Buffer {
  try {
    return readPlainFileAtOnce(path);
  } catch (cause) {
    throw new KmeshError('KM_IO', `${what} file "${path}" ${fileFault(cause)}`, { cause });
  }
}

function made<T>(make: () => T, path: string): T {
  try {
    return make();
  } catch (cause) {
    throw new KmeshError(
      'KM_CONFIG',
      `certificate file "${path}" and its key cannot be used: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

function isSame(a: Certificates, b: Certificates): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key) && (a.ca === undefined || b.ca?.equals(a.ca) === true);
}
