// SPDX-License-Identifier: Apache-2.0
// A value that is made on its first use.

export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
