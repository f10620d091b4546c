// SPDX-License-Identifier: Apache-2.0
// Certificates of the control plane, which can be replaced while it serves.
import { createSecureContext } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** PEM. */
export interface Certificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Proxies must show a certificate that one of these signed; undefined: they need none. */
  readonly ca?: Buffer;
}

export class TlsCredentials extends ServerCredentials {
  /** Throws what is wrong with them. */
  constructor(certificates: Certificates) {
    createSecureContext({ ...certificates });
    const asks = certificates.ca !== undefined;
    super({ requestCert: asks, rejectUnauthorized: asks, minVersion: 'TLSv1.2' }, { ...certificates });
  }

  /** For connections from now on. Throws what is wrong with them, and keeps those of before then. */
  replace(certificates: Certificates): void {
    createSecureContext({ ...certificates });
    this.updateSecureContextOptions({ ...certificates });
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}
