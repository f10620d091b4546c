// SPDX-License-Identifier: Apache-2.0
// Root of the program: the process's own Env, signals, and the only place that exits.
import { asKmeshError, faultText } from './cli/fault.ts';
import { program } from './cli/program.ts';
import { runCommandLine } from './cli/run.ts';
import { processEnv } from './env.ts';

const stop = new AbortController();

/**
 * The first SIGINT or SIGTERM asks the command to end; a second SIGINT does not wait for it. SIGUSR1, at which Node opens a port to whoever
 * wants to run something here, does nothing: the port would be in a pod's network namespace when this process is just in there.
 */
function listenForSignals(): void {
  process.on('SIGUSR1', () => {});
  process.on('SIGTERM', () => stop.abort());
  process.on('SIGINT', () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  });
}

// What nobody caught is a bug; it is told like any failure, with everything known.
process.on('uncaughtException', (fault) => {
  process.stderr.write(faultText(asKmeshError(fault), true));
  process.exit(1);
});

process.exit(await runCommandLine(program, process.argv.slice(2), processEnv(stop.signal), listenForSignals));
