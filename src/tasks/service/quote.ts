// SPDX-License-Identifier: Apache-2.0
// Words as a systemd unit writes them: systemd.syntax(7), "Quoting", and systemd.service(5), "Command lines".

const plain = /^[\w@+=:,./[\]-]+$/;

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '\t': '\\t' };

/** Without these the text would end its quotes, or its line. */
function escaped(text: string): string {
  return text.replace(/[\\"\p{Cc}]/gu, (char) => {
    const known = escapes[char];
    return known ?? [...Buffer.from(char)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  });
}

/** One value of a list of paths. A percent sign would begin a specifier. */
export function quotePath(path: string): string {
  const text = escaped(path).replaceAll('%', '%%');
  return plain.test(path) ? text : `"${text}"`;
}

/** One argument of a command. A dollar sign would begin a variable. */
export function quoteArgument(word: string): string {
  return quotePath(word).replaceAll('$', '$$$$');
}

/** A command: its program is a path, in which no variable is looked for. */
export function commandLine([program = '', ...words]: readonly string[]): string {
  return [quotePath(program), ...words.map(quoteArgument)].join(' ');
}
