// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { loadFault } from '../../src/kernel/verifier-log.ts';

const refused = `libbpf: prog 'connect4': BPF program load failed: Permission denied
libbpf: prog 'connect4': -- BEGIN PROG LOAD LOG --
arg#0 reference type('UNKNOWN ') size cannot be determined: -22
0: R1=ctx() R10=fp0
; struct km_enrolled *found = bpf_map_lookup_elem(&enrolled, &id); @ tiny.bpf.c:71
6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=enrolled,ks=8,vs=8)
; if (found->flags == 1) @ tiny.bpf.c:73
7: (61) r1 = *(u32 *)(r0 +4)
R0 invalid mem access 'map_value_or_null'
processed 8 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
-- END PROG LOAD LOG --
libbpf: prog 'connect4': failed to load: -13
libbpf: failed to load object '/x/sock_addr.bpf.o'
`;

test('a verifier log is cut to the verdict and the source line; the whole stays as detail', () => {
  const error = loadFault('sock_addr.bpf.o', 'EACCES', refused);
  expect(error).toMatchObject({ code: 'KM_LOAD', detail: refused, hint: undefined });
  expect(error.message).toBe(
    'program "connect4" of sock_addr.bpf.o could not be loaded: EACCES; ' +
      "R0 invalid mem access 'map_value_or_null'; at: if (found->flags == 1) @ tiny.bpf.c:73",
  );
});

test('what libbpf says where the verifier was not asked', () => {
  const text = `libbpf: map 'frontend': failed to create: Operation not permitted(-1)
libbpf: failed to load object 'x'
`;
  expect(loadFault('x.bpf.o', 'EPERM', text)).toMatchObject({
    message:
      'object "x.bpf.o" could not be loaded: EPERM; ' +
      "map 'frontend': failed to create: Operation not permitted(-1); failed to load object 'x'",
    hint: expect.stringMatching('CAP_BPF'),
  });
});

test('nothing printed at all', () => {
  expect(loadFault('x.bpf.o', 'ENOMEM', '').message).toBe('object "x.bpf.o" could not be loaded: ENOMEM');
});
