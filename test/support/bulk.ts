// SPDX-License-Identifier: Apache-2.0
// YAML of many services, in two states that differ in every one of them.

export type BulkState = 'a' | 'b';

const address = (net: number, n: number): string => `10.${net}.${(n >> 8) & 255}.${n & 255}`;

export interface EntrySpec {
  readonly name: string;
  readonly address: string;
  readonly endpoints: readonly { readonly address: string; readonly weight?: number }[];
  /** Port number -> port of the endpoints. */
  readonly targetPort: number;
  readonly udp?: boolean;
}

/** A ServiceEntry on port 80. */
export function entryYaml({ name, address, endpoints, targetPort, udp = false }: EntrySpec): string {
  const port = (protocol: string) =>
    `    - {number: 80, name: ${protocol.toLowerCase()}, protocol: ${protocol}, targetPort: ${targetPort}}\n`;
  return `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec:
  hosts: [${name}.shop.internal]
  addresses: [${address}]
  resolution: STATIC
  location: MESH_INTERNAL
  ports:
${port('TCP')}${udp ? port('UDP') : ''}  endpoints:
${endpoints.map((e) => `    - {address: ${e.address}, weight: ${e.weight ?? 1}}`).join('\n')}
`;
}

/** Of services 0 to `count` some exist in one state only; endpoints and weights of all the others differ. */
export function bulkYaml(count: number, state: BulkState): string {
  const texts: string[] = [];
  for (let n = 0; n < count; n++) {
    if (n % 10 === (state === 'a' ? 3 : 7)) continue;
    const other = state === 'a' ? 1 : 2;
    texts.push(
      entryYaml({
        name: `bulk-${n}`,
        address: address(97, n),
        targetPort: 8080,
        endpoints: [
          { address: address(40, n), weight: other },
          { address: address(40 + other, n), weight: 3 },
        ],
      }),
    );
  }
  return texts.join('');
}
