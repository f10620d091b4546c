// SPDX-License-Identifier: Apache-2.0
// The agent's log: one JSON object a line, its level changeable while it runs.
import { pino } from 'pino';
import type { LogLevel } from '../admin/types.ts';
import { KmeshError } from '../errors.ts';

export interface Log {
  level: LogLevel;
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** A log that writes lines to `stream`. `base` stands in every line. */
export function openLog(stream: { write(text: string): unknown }, level: LogLevel, base: object): Log {
  const logger = pino(
    { level, base, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    { write: (line: string) => void stream.write(line) },
  );
  return {
    get level() {
      return logger.level as LogLevel;
    },
    set level(next) {
      logger.level = next;
    },
    debug: (facts, message) => logger.debug(facts, message),
    info: (facts, message) => logger.info(facts, message),
    warn: (facts, message) => logger.warn(facts, message),
    error: (facts, message) => logger.error(facts, message),
  };
}

/** Fields that tell of a failure: code and hint when it has them, and where a bug was. */
export function faultFacts(fault: unknown): object {
  if (fault instanceof KmeshError) {
    return { code: fault.code, fault: fault.message, ...(fault.hint === undefined ? {} : { hint: fault.hint }) };
  }
  return fault instanceof Error
    ? { code: 'KM_INTERNAL', fault: fault.message, stack: fault.stack }
    : { code: 'KM_INTERNAL', fault: String(fault) };
}
