// SPDX-License-Identifier: Apache-2.0
// A failure as the text or JSON that a person or a script gets on standard error.
import { harmless, KmeshError, messageOf } from '../errors.ts';
import type { Paint } from './paint.ts';

export const exitDone = 0;
const exitFailed = 1;
const exitUsage = 2;

/** Anything thrown as the one error class: what is not ours is a bug. */
export function asKmeshError(fault: unknown): KmeshError {
  if (fault instanceof KmeshError) return fault;
  return new KmeshError('KM_INTERNAL', messageOf(fault), {
    cause: fault,
    hint: 'this is a bug in kmeshctl; run it again with --verbose and report what it prints',
  });
}

/** 2 for usage, 1 for the rest. */
export function exitCodeOf(fault: unknown): number {
  return fault instanceof KmeshError && fault.code === 'KM_USAGE' ? exitUsage : exitFailed;
}

/** The chain of causes, outermost first, without the failure itself; stops at a loop. */
function causes(fault: Error): Error[] {
  const chain: Error[] = [];
  let next = fault.cause;
  while (next instanceof Error && !chain.includes(next)) {
    chain.push(next);
    next = next.cause;
  }
  return chain;
}

/** Full text that a failure carries but its message leaves out, such as the log of the verifier. */
const detailOf = (fault: Error): string | undefined =>
  'detail' in fault && typeof fault.detail === 'string' ? fault.detail : undefined;

const isOurs = (fault: Error): boolean => fault instanceof KmeshError && fault.code !== 'KM_INTERNAL';

function verboseLines(fault: KmeshError): string[] {
  const lines: string[] = [];
  for (const cause of causes(fault)) {
    lines.push(
      `caused by ${isOurs(cause) ? `${(cause as KmeshError).code}: ${cause.message}` : (cause.stack ?? cause.message)}`,
    );
  }
  for (const one of [fault, ...causes(fault)]) {
    const detail = detailOf(one);
    if (detail !== undefined) lines.push(detail.trimEnd());
  }
  return lines;
}

/** `error KM_X: message`, a line with the hint, and with `verbose` everything known. Ends with a newline. */
export function faultText(fault: KmeshError, verbose: boolean, paint: Paint = (text) => text): string {
  const lines = [`${paint(`error ${fault.code}:`, 'bad')} ${oneLine(fault.message)}`];
  if (fault.hint !== undefined) lines.push(`hint: ${oneLine(fault.hint)}`);
  if (verbose)
    for (const line of verboseLines(fault)) {
      lines.push(...line.replaceAll('\t', '  ').split('\n').map(harmless));
    }
  return `${lines.join('\n')}\n`;
}

const oneLine = (text: string): string => harmless(text.replace(/\s*\n\s*/g, '; '));

/** The same as one JSON object: {"error": {code, message, hint?, causes?, detail?}}. */
export function faultJson(fault: KmeshError, verbose: boolean): string {
  const chain = causes(fault);
  const details = [fault, ...chain].map(detailOf).filter((detail) => detail !== undefined);
  return `${JSON.stringify({
    error: {
      code: fault.code,
      message: fault.message,
      hint: fault.hint,
      causes: verbose ? chain.map((cause) => cause.message) : undefined,
      detail: verbose ? details.at(0) : undefined,
    },
  })}\n`;
}
