// SPDX-License-Identifier: Apache-2.0
// Metrics of the process itself, under the names that Prometheus clients give them. The collection that comes with the client would wake
// the process a hundred times a second.
import { readdirSync, readFileSync } from 'node:fs';
import type { Metric } from './catalogue.ts';

type ProcessMetric = Omit<Metric, 'read'> & { read(): number | undefined };

const gauge = (name: string, help: string, read: () => number | undefined): ProcessMetric => ({
  ...{ type: 'gauge', name, help, labels: [], read },
});
const counter = (name: string, help: string, read: () => number): ProcessMetric => ({
  ...{ type: 'counter', name, help, labels: [], read },
});

function openFiles(): number | undefined {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}

function mostFiles(): number | undefined {
  const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return limit === undefined ? undefined : Number(limit);
}

export function processMetrics(): readonly ProcessMetric[] {
  const cpu = (of: 'user' | 'system'): number => process.cpuUsage()[of] / 1e6;
  return [
    counter('process_cpu_user_seconds_total', 'CPU time in user mode.', () => cpu('user')),
    counter('process_cpu_system_seconds_total', 'CPU time in the kernel.', () => cpu('system')),
    counter('process_cpu_seconds_total', 'CPU time.', () => cpu('user') + cpu('system')),
    gauge('process_start_time_seconds', 'When the process started.', () => performance.timeOrigin / 1000),
    gauge('process_resident_memory_bytes', 'Memory in RAM.', () => process.memoryUsage.rss()),
    gauge('process_open_fds', 'Open file descriptors.', openFiles),
    gauge('process_max_fds', 'File descriptors that may be open.', mostFiles),
    gauge('nodejs_heap_size_total_bytes', 'Heap of JavaScript.', () => process.memoryUsage().heapTotal),
    gauge('nodejs_heap_size_used_bytes', 'Heap of JavaScript in use.', () => process.memoryUsage().heapUsed),
    gauge('nodejs_external_memory_bytes', 'Memory outside of that heap.', () => process.memoryUsage().external),
  ];
}
