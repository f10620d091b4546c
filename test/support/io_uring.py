# SPDX-License-Identifier: Apache-2.0
# As much of io_uring as a test needs: requests, linked to one another, and what came of them.
import ctypes
import mmap
import os
import struct

SENDMSG, CONNECT, SEND, SEND_ZC = 9, 16, 26, 47
LINK = 4

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *args):
    answer = libc.syscall(number, *args)
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


class Ring:
    def __init__(self, entries=8):
        params = ctypes.create_string_buffer(120)
        self.fd = call(425, entries, params)
        self.sq = struct.unpack_from("8I", params.raw, 40)  # head, tail, mask, entries, flags, dropped, array
        self.cq = struct.unpack_from("8I", params.raw, 80)  # head, tail, mask, entries, overflow, cqes
        self.rings = mmap.mmap(self.fd, 1 << 13)
        self.sqes = mmap.mmap(self.fd, entries * 64, offset=0x10000000)
        self.kept = []

    def get(self, at):
        return struct.unpack_from("I", self.rings, at)[0]

    def do(self, *requests):
        """Requests (opcode, flags, fd, offset, bytes, message flags); the results of all, notifications left out."""
        for i, (opcode, flags, fd, offset, data, more) in enumerate(requests):
            buffer = ctypes.create_string_buffer(bytes(data), len(data))
            self.kept.append(buffer)
            tail = self.get(self.sq[1])
            at = tail & self.get(self.sq[2])
            length = 0 if opcode == CONNECT else len(data)
            entry = struct.pack("BBHiQQIIQ", opcode, flags, 0, fd, offset, ctypes.addressof(buffer), length, more, i)
            self.sqes[at * 64 : at * 64 + 64] = entry.ljust(64, b"\0")
            struct.pack_into("I", self.rings, self.sq[6] + 4 * at, at)
            struct.pack_into("I", self.rings, self.sq[1], tail + 1)
        call(426, self.fd, len(requests), len(requests), 1, None, 0)
        results = {}
        while len(results) < len(requests):
            head = self.get(self.cq[0])
            if head == self.get(self.cq[1]):
                call(426, self.fd, 0, 1, 1, None, 0)
                continue
            at = self.cq[5] + 16 * (head & self.get(self.cq[2]))
            number, result, _ = struct.unpack_from("QiI", self.rings, at)
            results.setdefault(number, result)
            struct.pack_into("I", self.rings, self.cq[0], head + 1)
        return [results[i] for i in range(len(requests))]
