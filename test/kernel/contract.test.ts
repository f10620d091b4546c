// SPDX-License-Identifier: Apache-2.0
// The contract on the real kernel; test/kernel-unit/contract.test.ts runs the same in memory.
import { load } from '../../src/kernel/load.ts';
import { openPinned } from '../../src/kernel/pinned.ts';
import { contractSizes, describeContract } from '../support/contract.ts';
import { openSite } from '../support/site.ts';

describeContract('on the kernel', () => {
  const site = openSite('contract');
  load({ ...site.options, sizes: contractSizes });
  const dataPlane = openPinned(site.bpffs);
  return {
    dataPlane,
    close() {
      dataPlane.close();
      site.close();
    },
  };
});
