// SPDX-License-Identifier: Apache-2.0
// Endpoints of a backend in the image, by name.
import type { BackendImage, Image } from './image.ts';
import type { WantedEndpoint } from './wanted.ts';

type NamedEndpoint = Omit<WantedEndpoint, 'weight'>;

/** The endpoints that the kernel holds for a backend. */
function endpointsOfImage(image: Image, backend: BackendImage): readonly NamedEndpoint[] {
  if (backend.wanted) return backend.wanted.endpoints;
  const { read } = backend;
  if (!read) return [];
  return backend.workloadIds.map((id, i) => {
    const { addr, port } = read.slot(i);
    return { workload: image.ids.workload.nameOf(id) ?? '', address: addr, port };
  });
}

const keyOf = (e: NamedEndpoint): string => `${e.workload}|${e.address}|${e.port}`;

/** True when some endpoint of `have` is not among those of `next`. */
export function endpointsLeft(image: Image, have: BackendImage, next: BackendImage | undefined): boolean {
  const before = endpointsOfImage(image, have);
  if (!next) return before.length > 0;
  const after = new Set(endpointsOfImage(image, next).map(keyOf));
  return before.some((e) => !after.has(keyOf(e)));
}
