// SPDX-License-Identifier: Apache-2.0
// A root and a server certificate that it signed, made by openssl.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** File of the root, in PEM. */
  readonly root: string;
  /** The server's, in PEM. */
  readonly key: string;
  readonly cert: string;
}

/** @param names as openssl writes them: "DNS:localhost,IP:127.0.0.1" */
export function makeCertificates(folder: string, names: string): Certificates {
  const file = (name: string) => join(folder, name);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=root', '-keyout', file('ca.key'), '-out', file('ca.pem'));
  openssl('req', '-new', ...key, '-subj', '/CN=server', '-keyout', file('server.key'), '-out', file('server.csr'));
  writeFileSync(file('names'), `subjectAltName=${names}\n`);
  openssl(
    ...['x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-days', '2', '-extfile', file('names'), '-out', file('server.pem')],
  );
  return {
    root: file('ca.pem'),
    key: readFileSync(file('server.key'), 'utf8'),
    cert: readFileSync(file('server.pem'), 'utf8'),
  };
}
