// SPDX-License-Identifier: Apache-2.0
// Where rules of policies stand in what Envoy is told: network filters of a chain, and fields of a virtual host.
import type * as envoy from './envoy.ts';
import type { Rbacs, Rules } from './rbac.ts';

export const denyFilter = 'kmesh.authz.deny';
export const allowFilter = 'kmesh.authz.allow';
const perRoute = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute';
const ofNetwork = 'envoy.extensions.filters.network.rbac.v3.RBAC';

const both = (of: (filter: string) => Rules | undefined): Rbacs => {
  const [deny, allow] = [of(denyFilter), of(allowFilter)];
  return { ...(deny && { deny }), ...(allow && { allow }) };
};

export function fieldsOf({ deny, allow }: Rbacs): Pick<envoy.VirtualHost, 'typedPerFilterConfig'> {
  if (!deny && !allow) return {};
  return {
    typedPerFilterConfig: {
      ...(deny && { [denyFilter]: { type: perRoute, value: { rbac: deny } } }),
      ...(allow && { [allowFilter]: { type: perRoute, value: { rbac: allow } } }),
    },
  };
}

export function inHost({ typedPerFilterConfig = {} }: envoy.VirtualHost): Rbacs {
  return both((filter) => {
    const config = typedPerFilterConfig[filter];
    return config?.type === perRoute ? config.value.rbac : undefined;
  });
}

export function filtersOf({ deny, allow }: Rbacs): envoy.NetworkFilter[] {
  const filter = (one: Rules | undefined, name: string): envoy.NetworkFilter[] =>
    one ? [{ name, typedConfig: { type: ofNetwork, value: { ...one, statPrefix: name } } }] : [];
  return [...filter(deny, denyFilter), ...filter(allow, allowFilter)];
}

export const isRbac = ({ name }: envoy.NetworkFilter): boolean => name === denyFilter || name === allowFilter;

export function inChain({ filters }: envoy.FilterChain): Rbacs {
  return both((filter) => {
    const config = filters.find(({ name }) => name === filter)?.typedConfig;
    if (config?.type !== ofNetwork) return undefined;
    const { statPrefix: _, ...rules } = config.value;
    return rules;
  });
}
