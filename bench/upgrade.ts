// SPDX-License-Identifier: Apache-2.0
// wrk through a service address while programs and maps are swapped under it, again and again: not one error.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { swap } from '../src/kernel/swap.ts';
import { openMesh } from '../test/support/mesh.ts';
import { endpoint } from '../test/support/wanted.ts';
import { type Line, report } from './report.ts';
import { httpPort, output, service, startNginx } from './traffic.ts';

const swaps = 5;
const seconds = 10;

/** What wrk says of errors and answers other than 200; '' when there were none. */
const faultsOf = (text: string) => /Socket errors: .*|Non-2xx.*/.exec(text)?.[0] ?? '';

export async function benchUpgrade(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'km-bench-'));
  const mesh = await openMesh(['client', 'server']);
  try {
    const client = mesh.pod('client');
    await mesh.enroll('client');
    await mesh.enroll('server');
    await mesh.want({
      name: 'web',
      at: [`${service}:${httpPort}`],
      endpoints: [endpoint(mesh.pod('server'), httpPort)],
    });
    const nginx = await startNginx(mesh.pod('server'), folder);
    const lines: Line[] = [];
    for (const [what, headers] of [
      ['keep-alive', []],
      ['new connections', ['-H', 'Connection: close']],
    ] as const) {
      const args = ['-t1', '-c16', `-d${seconds}s`, ...headers, `http://${service}:${httpPort}/`];
      let over = false;
      const running = output(client, 'wrk', args).finally(() => {
        over = true;
      });
      for (let i = 1; i <= swaps; i++) {
        await pause(500);
        await swap({
          bpffs: mesh.plane.bpffs,
          version: `bench-${i}`,
          now: Date.now(),
          sizes: { frontend: 131_072 + i, endpoint: 393_216 + i },
        });
      }
      if (over) throw new Error('wrk ended before the last swap');
      const text = await running;
      const faults = faultsOf(text);
      lines.push({
        what: `wrk during ${swaps} swaps of programs and maps, ${what}`,
        figure: `${/(\d+) requests in/.exec(text)?.[1]} requests, ${faults === '' ? 'no error' : faults}`,
        limit: 'no error',
        met: faults === '',
      });
    }
    await nginx.stop();
    return report('Upgrade under load', lines);
  } finally {
    await mesh.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
