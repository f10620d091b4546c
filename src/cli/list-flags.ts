// SPDX-License-Identifier: Apache-2.0
// Flags of every command that lists.
import { text, whole } from './param.ts';

export const listFlags = {
  filter: text('TEXT', 'only those that contain it'),
  limit: whole('N', 'at most so many', { min: 1, max: 1e9 }),
};
