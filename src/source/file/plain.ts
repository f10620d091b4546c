// SPDX-License-Identifier: Apache-2.0
import type { YamlDocument } from './yaml-node.ts';
export function readPlain(_t: string, _b: number): YamlDocument | undefined {
  return undefined;
}
