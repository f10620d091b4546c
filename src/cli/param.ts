// SPDX-License-Identifier: Apache-2.0
// Flags and arguments as data: what help, completion and man pages show, and how text becomes a typed value.
import { KmeshError } from '../errors.ts';
import { type ListenAddress, parseListenAddress } from '../net/socket-address.ts';

/** What completion offers for a value beyond its choices. */
export type Completion = 'file' | 'directory' | 'command';

/** One flag or argument whose value has type T; T includes undefined when it may be left out. */
export interface Param<T> {
  readonly summary: string;
  /** Shown for the value; absent for a switch. */
  readonly placeholder?: string;
  readonly short?: string;
  /** Another name that it is known by elsewhere, as a key. */
  readonly also?: string;
  readonly repeatable?: boolean;
  readonly required?: boolean;
  /** Words that are passed on to another program: given after "--". */
  readonly passedOn?: boolean;
  /** As help shows it. */
  readonly fallback?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** Values that completion offers while others are good too. */
  readonly suggestions?: readonly string[];
  readonly complete?: Completion;
  /** Environment variable that is read when the flag is not given. */
  readonly env?: string;
  /** `raw`: the words given, in order (none: not given; a switch given: one empty word). `shown`: its name for messages. */
  read(raw: readonly string[], shown: string): T;
}

export type Params = Readonly<Record<string, Param<unknown>>>;

export type ValueOf<P> = P extends Param<infer T> ? T : never;

/** Typed input of a command: what may be left out is an optional key. */
export type Input<P> = {
  readonly [K in keyof P as undefined extends ValueOf<P[K]> ? never : K]: ValueOf<P[K]>;
} & { readonly [K in keyof P as undefined extends ValueOf<P[K]> ? K : never]?: Exclude<ValueOf<P[K]>, undefined> };

type More = Pick<Param<unknown>, 'short' | 'also' | 'complete' | 'suggestions' | 'env'>;
type Reader<T> = (text: string, shown: string) => T;

interface One {
  <T>(read: Reader<T>, param: Omit<Param<T>, 'read'> & { readonly fallback: string }): Param<T>;
  <T>(read: Reader<T>, param: Omit<Param<T>, 'read'> & { readonly required: true }): Param<T>;
  <T>(read: Reader<T>, param: Omit<Param<T>, 'read'>): Param<T | undefined>;
}

/** A single value: the last one given counts. */
const one: One = <T>(read: Reader<T>, param: Omit<Param<T>, 'read'>): Param<T> => ({
  ...param,
  read(raw, shown) {
    const text = raw.at(-1) ?? param.fallback;
    return text === undefined ? (undefined as T) : read(text, shown);
  },
});

const usage = (message: string, hint?: string): KmeshError =>
  new KmeshError('KM_USAGE', message, hint === undefined ? {} : { hint });

const anyText: Reader<string> = (text, shown) => {
  if (text === '') throw usage(`${shown} must not be empty`);
  return text;
};

export const toggle = (summary: string, more: Pick<More, 'short'> = {}): Param<boolean> => ({
  summary,
  ...more,
  read: (raw) => raw.length > 0,
});

export const text = (placeholder: string, summary: string, more: More = {}): Param<string | undefined> =>
  one(anyText, { placeholder, summary, ...more });

export const textOr = (fallback: string, placeholder: string, summary: string, more: More = {}): Param<string> =>
  one(anyText, { placeholder, summary, fallback, ...more });

export const requiredText = (placeholder: string, summary: string, more: More = {}): Param<string> =>
  one(anyText, { placeholder, summary, required: true, ...more });

/** Any number of values, in the order given; `required`: at least one. */
export const texts = (
  placeholder: string,
  summary: string,
  more: More & { readonly required?: boolean; readonly passedOn?: boolean } = {},
): Param<readonly string[]> => ({
  placeholder,
  summary,
  repeatable: true,
  ...more,
  read: (raw, shown) => raw.map((word) => anyText(word, shown)),
});

export interface Range {
  readonly min: number;
  readonly max: number;
}

const wholeReader =
  ({ min, max }: Range): Reader<number> =>
  (word, shown) => {
    const number = /^\d+$/.test(word) ? Number(word) : Number.NaN;
    if (number >= min && number <= max) return number;
    throw usage(`${shown} must be a whole number from ${min} to ${max}, got "${word}"`);
  };

export const whole = (placeholder: string, summary: string, range: Range): Param<number | undefined> =>
  one(wholeReader(range), { placeholder, summary });

export const wholeOr = (fallback: number, placeholder: string, summary: string, range: Range): Param<number> =>
  one(wholeReader(range), { placeholder, summary, fallback: String(fallback) });

/** Where to listen: HOST:PORT, :PORT, [IPv6]:PORT. `usual`: the port that messages give as an example. */
export const listenAddress = (placeholder: string, summary: string, usual = 15020): Param<ListenAddress | undefined> =>
  one(
    (word, shown) => {
      const listen = parseListenAddress(word);
      if (listen !== undefined) return listen;
      throw usage(`${shown} must be an address such as :${usual}, 127.0.0.1:${usual} or [::1]:${usual}, got "${word}"`);
    },
    { placeholder, summary },
  );

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A length of time as Go writes it, such as 500ms, 30s, 1m30s or 1.5h, as milliseconds. */
export const durationOr = (
  fallback: string,
  placeholder: string,
  summary: string,
  more: Pick<More, 'also'> = {},
): Param<number> =>
  one(
    (word, shown) => {
      if (word === '0') return 0;
      if (/^(?:\d{1,9}(?:\.\d{1,9})?(?:ms|s|m|h))+$/.test(word)) {
        const parts = [...word.matchAll(/([\d.]+)([a-z]+)/g)];
        return Math.round(parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (units[unit] ?? 0), 0));
      }
      throw usage(`${shown} must be a length of time such as 500ms, 30s or 5m, got "${word}"`);
    },
    { placeholder, summary, fallback, ...more },
  );

const choiceReader =
  <const C extends string>(choices: readonly C[]): Reader<C> =>
  (word, shown) => {
    const found = choices.find((choice) => choice === word);
    if (found !== undefined) return found;
    throw usage(`${shown} must be one of ${choices.join(', ')}, got "${word}"`);
  };

export const choice = <const C extends string>(
  choices: readonly C[],
  placeholder: string,
  summary: string,
): Param<C | undefined> => one(choiceReader(choices), { placeholder, summary, choices });

export const choiceOr = <const C extends string>(
  fallback: C,
  choices: readonly C[],
  placeholder: string,
  summary: string,
  more: More = {},
): Param<C> => one(choiceReader(choices), { placeholder, summary, choices, fallback, ...more });

export const requiredChoice = <const C extends string>(
  choices: readonly C[],
  placeholder: string,
  summary: string,
): Param<C> => one(choiceReader(choices), { placeholder, summary, choices, required: true });

/** As not given when its value is empty: what a script has in a variable that is not set. */
export const unlessEmpty = <T>(param: Param<T>): Param<T> => ({
  ...param,
  read: (raw, shown) => param.read(raw.at(-1) === '' ? [] : raw, shown),
});

/** maxFrontends -> --max-frontends */
export const flagName = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
