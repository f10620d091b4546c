// SPDX-License-Identifier: Apache-2.0
// Objects of a waypoint as text, made without any cluster.

import { KmeshError } from '../../errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { makeEnvoyFilter } from './envoy-filter.ts';
import { bindingOf, checkName, type GatewayOptions, makeGateway } from './gateway.ts';

export interface GenerateOptions extends GatewayOptions {
  readonly namespace?: string;
  readonly envoyfilter: boolean;
}

export function generateWaypoint(options: GenerateOptions): KubeObject {
  const { envoyfilter, namespace, name, protocol } = options;
  if (!envoyfilter) return makeGateway(options, namespace);
  checkName(name);
  const { header, port } = bindingOf(options);
  if (header === 'proxy') return makeEnvoyFilter(name, namespace, port);
  throw new KmeshError(
    'KM_USAGE',
    `--envoyfilter is for the PROXY protocol: a stock istio-proxy cannot read ${protocol}`,
  );
}
