// SPDX-License-Identifier: Apache-2.0
// PeerAuthentication: which workloads take connections of sources without an identity.
import { object, oneOf, silentFields, strict, tableOf } from '../fields.ts';
import { base, defineKind } from '../kind.ts';
import type { MtlsMode, PeerAuthenticationObject } from '../objects.ts';
import { selectedBy, selector } from './selector.ts';

const mtls = object({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') }, strict);

const shape = {
  spec: object({ selector, mtls, portLevelMtls: tableOf(mtls) }, strict),
  ...silentFields('status'),
};

export const peerAuthenticationKind = defineKind({
  kind: 'PeerAuthentication',
  group: 'security.istio.io',
  versions: ['v1', 'v1beta1'],
  namespaced: true,
  shape,
  make(raw, meta, reading): PeerAuthenticationObject {
    const { spec } = raw;
    const path = ['spec', 'portLevelMtls'];
    const selected = selectedBy(spec?.selector, reading);
    const ports: { port: number; mode: MtlsMode }[] = [];
    for (const [key, value] of Object.entries(spec?.portLevelMtls ?? {})) {
      const port = /^\d{1,5}$/.test(key) ? Number(key) : 0;
      if (port < 1 || port > 65535) reading.faultAt([...path, key], 'must be a port from 1 to 65535');
      else ports.push({ port, mode: value.mode ?? 'UNSET' });
    }
    if (spec?.portLevelMtls !== undefined) {
      if (Object.keys(spec.portLevelMtls).length === 0) reading.faultAt(path, 'must not be empty');
      if (selected.selector === undefined) reading.faultAt(path, 'needs a selector');
    }
    return {
      kind: 'PeerAuthentication',
      ...base(meta),
      ...selected,
      mode: spec?.mtls?.mode ?? 'UNSET',
      ports: ports.sort((a, b) => a.port - b.port),
    };
  },
});
