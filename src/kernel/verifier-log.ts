// SPDX-License-Identifier: Apache-2.0
// What libbpf and the verifier print when a load fails, cut to the lines that tell why.
import { KmeshError } from '../errors.ts';

const begin = /-- BEGIN PROG LOAD LOG --/;
const end = /-- END PROG LOAD LOG --/;
/** Register states, jump notes, counts: the verifier's walk, not its verdict. */
const walk =
  /^(\d+: |from \d+ to \d+|; |R\d+(_\w+)?=|processed \d+ insns|max_states|mark_precise|verification time|stack depth|func#\d+|last_idx|regs=|parent )/;

/** The verdict and the source line it stands at. */
function telling(log: readonly string[]): readonly string[] {
  const verdict = log.filter((line) => line !== '' && !walk.test(line)).slice(-1);
  const source = log.filter((line) => line.startsWith('; ')).at(-1);
  return source === undefined ? verdict : [...verdict, `at: ${source.slice(2)}`];
}

/** KM_LOAD for an object that bpf_object__load refused with `errno`; `text` is all that was printed. */
export function loadFault(object: string, errno: string, text: string): KmeshError {
  const lines = text.split('\n').map((line) => line.trim());
  const from = lines.findIndex((line) => begin.test(line));
  const program = /prog '([^']+)'/.exec(from < 0 ? text : (lines[from] as string))?.[1];
  const what = program === undefined ? `object "${object}"` : `program "${program}" of ${object}`;
  const to = lines.findIndex((line) => end.test(line));
  const why =
    from < 0
      ? lines
          .filter((line) => line.startsWith('libbpf: '))
          .slice(0, 2)
          .map((line) => line.slice('libbpf: '.length))
      : telling(lines.slice(from + 1, to < 0 ? undefined : to));
  const hint =
    errno === 'EPERM' && from < 0 ? 'loading needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: run it as root' : undefined;
  return new KmeshError('KM_LOAD', `${what} could not be loaded: ${[errno, ...why].join('; ')}`, {
    detail: text,
    facts: { object, errno, ...(program === undefined ? {} : { program }) },
    ...(hint === undefined ? {} : { hint }),
  });
}
