// SPDX-License-Identifier: Apache-2.0
// What a service manager is told: the protocol of sd_notify(3), over whatever sends one datagram.

export interface ServiceManager {
  /**
   * All that is the agent's own is open. It counts as started some seconds later, however long a control plane is away: a boot waits for
   * it. `waited` is called then, to say what it waits for.
   */
  opened(waited?: () => void): void;
  /** Started: the first state is where it belongs. Only the first call counts. */
  started(): void;
  /** One line for "systemctl status". */
  status(text: string): void;
  reloading(): void;
  reloaded(): void;
  /** Going down; also ends the watchdog's beat. */
  stopping(): void;
}

export interface ServiceManagerOptions {
  /** NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID. */
  readonly getenv: (name: string) => string | undefined;
  /** Binds the socket; the result sends one message and throws when nobody takes it. */
  readonly open: (path: string) => (text: string) => void;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monotonic: () => bigint;
  readonly pid: number;
  /** Milliseconds from opened() to started() by itself. */
  readonly patienceMs?: number;
  /** Told of the first message that could not be sent. */
  readonly onFault: (fault: unknown) => void;
}

/** A first state that can be had is there by then, as a rule. */
const usualPatienceMs = 10_000;

const nobody: ServiceManager = { opened() {}, started() {}, status() {}, reloading() {}, reloaded() {}, stopping() {} };

/** Talks to the service manager if there is one (NOTIFY_SOCKET is set), else to nobody. */
export function serviceManager(options: ServiceManagerOptions): ServiceManager {
  const path = options.getenv('NOTIFY_SOCKET');
  if (path === undefined || path === '') return nobody;
  let failed = false;
  const fail = (fault: unknown) => {
    if (!failed) options.onFault(fault);
    failed = true;
  };
  let post: (text: string) => void;
  try {
    post = options.open(path);
  } catch (fault) {
    fail(fault);
    return nobody;
  }
  const send = (...lines: readonly string[]) => {
    try {
      post(lines.join('\n'));
    } catch (fault) {
      fail(fault);
    }
  };
  let ready = false;
  let waiting: NodeJS.Timeout | undefined;
  let said = '';
  // Half the time allowed, as sd_watchdog_enabled(3) advises. A stuck event loop does not beat.
  const period = watchdogMs(options) / 2;
  const beat = period > 0 ? setInterval(() => send('WATCHDOG=1'), period) : undefined;
  beat?.unref();
  const started = () => {
    clearTimeout(waiting);
    if (ready) return;
    ready = true;
    send('READY=1');
  };
  return {
    opened(waited) {
      waiting ??= setTimeout(() => {
        waited?.();
        started();
      }, options.patienceMs ?? usualPatienceMs).unref();
    },
    started,
    status(text) {
      if (text === said) return;
      said = text;
      send(`STATUS=${text.replaceAll('\n', ' ')}`);
    },
    reloading: () => send('RELOADING=1', `MONOTONIC_USEC=${options.monotonic() / 1000n}`),
    reloaded: () => send('READY=1'),
    stopping() {
      clearTimeout(waiting);
      clearInterval(beat);
      send('STOPPING=1');
    },
  };
}

/** 0: no watchdog, or one for another process. */
function watchdogMs({ getenv, pid }: ServiceManagerOptions): number {
  const owner = getenv('WATCHDOG_PID');
  if (owner !== undefined && owner !== String(pid)) return 0;
  const microseconds = Number(getenv('WATCHDOG_USEC') ?? '0');
  return Number.isFinite(microseconds) && microseconds >= 2000 ? microseconds / 1000 : 0;
}
