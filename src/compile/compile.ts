// SPDX-License-Identifier: Apache-2.0
// model -> wanted entries, whole or only what a batch of changes touched. Both go through the same steps.
import type { Map as Table } from 'immutable';
import type { Model, NodeView, Touched } from '../mesh/model.ts';
import type { Wanted, WantedBackend, WantedClient, WantedDelta, WantedFrontend } from './wanted.ts';

/** All that was emitted so far, and by whom, so that what vanishes can be named. Persistent: an older index stays valid. */
export interface CompileIndex {
  readonly backends: Table<string, WantedBackend>;
  readonly frontends: Table<string, WantedFrontend>;
  readonly clients: Table<string, WantedClient>;
  /** Service key -> names of its backends. */
  readonly backendsOf: Table<string, readonly string[]>;
  /** Address text -> keys of its frontends. */
  readonly frontendsOf: Table<string, readonly string[]>;
}
export declare const emptyIndex: CompileIndex;
export declare function compileAll(model: Model, view: NodeView): Wanted;
/** `touched` 'everything': compiled afresh (another view, or the first time). The delta names only what really differs from `index`. */
export declare function compileTouched(
  index: CompileIndex,
  model: Model,
  view: NodeView,
  touched: Touched | 'everything',
): { readonly delta: WantedDelta; readonly index: CompileIndex };
/** What an index holds, as a whole (no copy). */
export declare function wantedOf(index: CompileIndex): Wanted;
