// SPDX-License-Identifier: Apache-2.0
// Looking after the programs of judged pods.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openKeeping } from '../../src/agent/keeping.ts';
import { openLog } from '../../src/agent/log.ts';
import { KmeshError } from '../../src/errors.ts';
import { sink } from '../support/sink.ts';

describe('keeping', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('looks only while something is judged, and not twice at a time', async () => {
    let needed = false;
    const open: (() => void)[] = [];
    const keep = vi.fn(() => new Promise<void>((done) => open.push(done)));
    const log = openLog(sink(), 'info', {});
    const keeping = openKeeping({ needed: () => needed, keep, log, everyMs: 10 });
    await vi.advanceTimersByTimeAsync(100);
    expect(keep).not.toHaveBeenCalled();
    needed = true;
    await vi.advanceTimersByTimeAsync(100);
    expect(keep).toHaveBeenCalledTimes(1);
    open.pop()?.();
    await vi.advanceTimersByTimeAsync(15);
    expect(keep).toHaveBeenCalledTimes(2);
    open.pop()?.();
    await keeping.close();
    await vi.advanceTimersByTimeAsync(100);
    expect(keep).toHaveBeenCalledTimes(2);
  });

  it('goes on after a failure, and tells of a row of them once', async () => {
    const output = sink();
    const log = openLog(output, 'info', {});
    const keep = vi.fn(() => Promise.reject(new KmeshError('KM_BUSY', 'somebody holds the lock')));
    const keeping = openKeeping({ needed: () => true, keep, log, everyMs: 10 });
    await vi.advanceTimersByTimeAsync(55);
    expect(keep).toHaveBeenCalledTimes(5);
    expect(output.text().split('programs of judged pods cannot be looked at')).toHaveLength(2);
    await keeping.close();
  });
});
