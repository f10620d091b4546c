// SPDX-License-Identifier: Apache-2.0
// The completion script of each shell.
import type { Program } from '../spec.ts';
import { bashScript } from './bash.ts';
import { fishScript } from './fish.ts';
import { zshScript } from './zsh.ts';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };

export const completionScript = (program: Program, shell: keyof typeof scripts): string => scripts[shell](program);
