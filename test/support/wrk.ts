// SPDX-License-Identifier: Apache-2.0
// wrk in a pod, for as long as something takes: requests over new connections or over some that stay.
import { once } from 'node:events';
import type { Pod } from '../../src/demo/lab.ts';
import { runCommand } from '../../src/demo/process.ts';

export interface WrkReport {
  readonly requests: number;
  /** What it says of failed connections, resets, time-outs and other answers than 200; '' when there were none. */
  readonly faults: string;
}

export interface Wrk {
  end(): Promise<WrkReport>;
}

/** Starts it; it goes with the lab. `close`: a connection for each request. */
export async function startWrk(pod: Pod, url: string, { close }: { readonly close: boolean }): Promise<Wrk> {
  // A connection that the client closed keeps its port for a minute.
  await runCommand('KM_NETNS', 'nsenter', [
    `--net=${pod.netns}`,
    'sysctl',
    '-qw',
    'net.ipv4.ip_local_port_range=1024 65535',
    'net.ipv4.tcp_tw_reuse=1',
  ]);
  const headers = close ? ['-H', 'Connection: close'] : [];
  const args = ['-t1', '-c4', '-d3600s', '--timeout', '30s', ...headers, url];
  const { child } = pod.start('wrk', args);
  let text = '';
  child.stdout?.on('data', (part: Buffer) => {
    text += part.toString();
  });
  return {
    async end() {
      const closed = once(child, 'close');
      // It stops and reports.
      child.kill('SIGINT');
      await closed;
      const requests = /(\d+) requests in/.exec(text)?.[1];
      if (requests === undefined) throw new Error(`wrk did not report: ${text}`);
      const faults = text.match(/Socket errors: .*|Non-2xx.*/g) ?? [];
      return { requests: Number(requests), faults: faults.join('; ') };
    },
  };
}
