// SPDX-License-Identifier: Apache-2.0
// Objects of a waypoint as text, made without any cluster.
import { KmeshError } from '../../errors.ts';
import type { KubeObject } from '../../kube/object.ts';
import { makeEnvoyFilter } from './envoy-filter.ts';
import { bindingOf, checkName, type GatewayOptions, makeGateway } from './gateway.ts';
import { ownClass } from './words.ts';

export interface GenerateOptions extends GatewayOptions {
  readonly namespace?: string;
  readonly envoyfilter: boolean;
}

export function generateWaypoint(options: GenerateOptions): KubeObject {
  const { envoyfilter, namespace, name, protocol } = options;
  if (!envoyfilter) return makeGateway(options, namespace);
  checkName(name);
  const { header, port } = bindingOf(options);
  if (options.class === ownClass) {
    throw new KmeshError('KM_USAGE', `--envoyfilter is for waypoints of istiod, not for --class ${ownClass}`, {
      hint: 'a waypoint of that class takes the PROXY protocol as it is: "kmeshctl waypoint run"',
    });
  }
  if (header === 'proxy') return makeEnvoyFilter(name, namespace, port);
  throw new KmeshError(
    'KM_USAGE',
    `--envoyfilter is for the PROXY protocol: a stock istio-proxy cannot read ${protocol}`,
  );
}
