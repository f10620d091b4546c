// SPDX-License-Identifier: Apache-2.0
// Plans and pictures of what the kernel holds, made at once where the agent makes them in slices.
import type { Image } from '../../src/compile/image.ts';
import type { Pins } from '../../src/compile/pins.ts';
import { type Plan, planning, planningAll } from '../../src/compile/plan.ts';
import { readImage } from '../../src/compile/read-image.ts';
import type { Wanted, WantedDelta } from '../../src/compile/wanted.ts';
import { finish } from '../../src/mesh/steps.ts';

/** For all that is wanted. */
export const planAll = (image: Image, wanted: Wanted): Plan => finish(planningAll(image, wanted));

/** For a part of what is wanted. */
export const planDelta = (image: Image, delta: WantedDelta): Plan => finish(planning(image, delta));

export const imageOf = (pins: Pins): Image => finish(readImage(pins));
