// SPDX-License-Identifier: Apache-2.0
// Syntax of RE2, read strictly: what is taken here is taken there. Envoy refuses all routes of a port for one expression that is none, and with
// them the policies of that port.

/** The most that counted repetitions within one another may come to. */
const mostRepeats = 1000;
/** Instructions of the compiled program, roughly and rather too many: far below what RE2 has room for. */
const largest = 20_000;
const deepest = 200;
const sizes = { character: 2, narrow: 4, wide: 16, unicode: 100 } as const;

const punctuation = /[!-/:-@[-^`{-~]/;
const categories =
  'Any C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs Arabic Cyrillic Greek Han Hebrew Latin';
const unicode = new RegExp(`\\\\[pP](?:[CLMNPSZ]|\\{\\^?(?:${categories.replaceAll(' ', '|')})\\})`, 'y');
const posix = /\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]/y;
const codePoint = /\\(?:x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,6})\}|0([0-7]{0,2}))/y;
const group = /\((?:\?(?:P?<([A-Za-z_]\w*)>|([imsU]*(?:-[imsU]+)?):))?/y;
const flags = /\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)\)/y;
const counted = /\{(\d+)(,?)(\d*)\}/y;
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };

class Invalid extends Error {}

/** What an expression needs: instructions, and the most that repetitions in it multiply to. */
interface Need {
  readonly size: number;
  readonly repeats: number;
}

export function isRe2(text: string): boolean {
  return programSize(text) <= largest;
}

/** Instructions that RE2 makes of it, rather too many than too few; infinite for what is no expression of RE2. */
export function programSize(text: string): number {
  // Half a character.
  if (/[\ud800-\udfff]/u.test(text)) return Number.POSITIVE_INFINITY;
  try {
    return new Reader(text).all().size;
  } catch (error) {
    if (error instanceof Invalid) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

class Reader {
  readonly #text: string;
  readonly #names = new Set<string>();
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  all(): Need {
    const need = this.#alternatives();
    if (this.#at < this.#text.length) throw new Invalid();
    return need;
  }

  get #next(): string {
    const point = this.#text.codePointAt(this.#at);
    return point === undefined ? '' : String.fromCodePoint(point);
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found) this.#at += found[0].length;
    return found ?? undefined;
  }

  #alternatives(): Need {
    if (++this.#depth > deepest) throw new Invalid();
    let [size, repeats] = [0, 1];
    while (this.#at < this.#text.length && this.#next !== ')') {
      if (this.#next === '|') {
        this.#at++;
        size++;
        continue;
      }
      const one = this.#repeated();
      size += one.size;
      repeats = Math.max(repeats, one.repeats);
    }
    this.#depth--;
    return { size, repeats };
  }

  /** Something, and how often. */
  #repeated(): Need {
    const one = this.#one();
    const times = this.#times();
    if (times === undefined) return one ?? { size: 1, repeats: 1 };
    // Nothing, or a place, is not repeated; nor is a repetition.
    if (!one || this.#times() !== undefined) throw new Invalid();
    const repeats = one.repeats * Math.max(1, times);
    if (repeats > mostRepeats) throw new Invalid();
    return { size: one.size * Math.max(1, times) + 2, repeats };
  }

  /** 1 for what is not counted; undefined: none follows. */
  #times(): number | undefined {
    const count = this.#take(counted);
    if (!count && !'*+?'.includes(this.#next || ' ')) return undefined;
    if (!count) this.#at++;
    if (this.#next === '?') this.#at++;
    if (!count) return 1;
    const [, least, comma, most] = count;
    const last = comma && most ? Number(most) : Number(least);
    if (last > mostRepeats || last < Number(least)) throw new Invalid();
    return last;
  }

  /** Undefined: a place in the text, or flags. */
  #one(): Need | undefined {
    const first = this.#next;
    if ('*+?'.includes(first) || this.#take(counted)) throw new Invalid();
    if (first === '(') return this.#group();
    if (first === '[') return { size: this.#class(), repeats: 1 };
    if (first === '\\') return this.#escape();
    this.#at += first.length;
    if (first === '^' || first === '$') return undefined;
    return { size: first === '.' ? sizes.wide : sizes.character * first.length, repeats: 1 };
  }

  #group(): Need | undefined {
    if (this.#take(flags)) return undefined;
    const begin = this.#at;
    const found = this.#take(group);
    if (!found) throw new Invalid();
    if (this.#text[begin + 1] === '?' && found[0] === '(') throw new Invalid();
    const [, name] = found;
    if (name !== undefined && this.#names.has(name)) throw new Invalid();
    if (name !== undefined) this.#names.add(name);
    const need = this.#alternatives();
    if (this.#next !== ')') throw new Invalid();
    this.#at++;
    return { ...need, size: need.size + 2 };
  }

  #escape(): Need | undefined {
    const second = this.#text[this.#at + 1] ?? '';
    if ('AbBz'.includes(second || ' ')) {
      this.#at += 2;
      return undefined;
    }
    if (second === 'Q') {
      const end = this.#text.indexOf('\\E', this.#at);
      if (end === -1) throw new Invalid();
      // What is repeated behind it is its last character: read as a place, it is not.
      this.#at = end + 2;
      if (this.#times() !== undefined) throw new Invalid();
      return undefined;
    }
    // Any byte.
    const size = this.#take(/\\C/y) ? sizes.character : this.#set();
    if (size !== undefined) return { size, repeats: 1 };
    this.#character();
    return { size: sizes.character, repeats: 1 };
  }

  /** Size of \d and the like. */
  #set(): number | undefined {
    if (this.#take(/\\[dsw]/y)) return sizes.narrow;
    if (this.#take(/\\[DSW]/y)) return sizes.wide;
    return this.#take(unicode) ? sizes.unicode : undefined;
  }

  /** One byte, escaped or not; NaN: a character of several, as Envoy has RE2 read bytes. */
  #character(): number {
    const point = this.#take(codePoint);
    if (point) {
      const [, two, more, octal] = point;
      const code = octal === undefined ? Number.parseInt(two ?? (more as string), 16) : Number.parseInt(`0${octal}`, 8);
      if (code > 0xff) throw new Invalid();
      return code;
    }
    if (this.#next !== '\\') {
      const plain = this.#next;
      this.#at += plain.length;
      return plain > '\x7f' ? Number.NaN : plain.charCodeAt(0);
    }
    const second = this.#text[this.#at + 1] ?? '';
    const control = controls[second];
    if (control === undefined && !punctuation.test(second)) throw new Invalid();
    this.#at += 2;
    return control ?? second.charCodeAt(0);
  }

  #class(): number {
    this.#at++;
    let size: number = sizes.narrow;
    if (this.#next === '^') {
      this.#at++;
      size = sizes.wide;
    }
    for (let isFirst = true; isFirst || this.#next !== ']'; isFirst = false) {
      if (this.#at >= this.#text.length) throw new Invalid();
      const set = this.#take(posix) ? sizes.narrow : this.#set();
      if (set !== undefined) {
        size += set;
        continue;
      }
      if (this.#text.startsWith('[:', this.#at)) throw new Invalid();
      const low = this.#character();
      size++;
      if (this.#next !== '-' || this.#text[this.#at + 1] === ']') continue;
      this.#at++;
      if (this.#at >= this.#text.length || !(this.#character() >= low)) throw new Invalid();
    }
    this.#at++;
    return size;
  }
}
