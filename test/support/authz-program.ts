// SPDX-License-Identifier: Apache-2.0
// The program that judges connections, loaded in a place of its own, to be run by hand.
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { openLab } from '../../src/demo/lab.ts';
import { cgroupMount } from '../../src/kernel/cgroup.ts';
import { openPin, pinFolders } from '../../src/kernel/pins.ts';
import { type Instance, openInstance } from './instance.ts';

export interface AuthzProgram {
  readonly instance: Instance;
  /** Its descriptor. */
  readonly program: number;
  close(): Promise<void>;
}

/** `name` is that of its network and cgroup. */
export async function openAuthzProgram(name: string): Promise<AuthzProgram> {
  const lab = await openLab(name, join(cgroupMount(), name));
  let instance: Instance | undefined;
  const close = async (): Promise<void> => {
    await instance?.close();
    await lab.close();
  };
  try {
    instance = await openInstance(lab.cgroupRoot);
    const program = openPin(join(pinFolders(instance.place.bpffs).progs, 'authz'));
    if (program === undefined) throw new Error('the program that judges is not pinned');
    return {
      instance,
      program,
      async close() {
        closeSync(program);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
