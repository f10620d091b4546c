# SPDX-License-Identifier: Apache-2.0
# Calls that Python has no function for, and processes that share a socket.
import ctypes
import errno
import mmap
import os
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)


def checked(answer):
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def send_unreadable(s, readable):
    """A send() of so many bytes, and 100 more of memory that may not be read: what it returns, or its errno's name."""
    memory = mmap.mmap(-1, 8192)
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    checked(libc.mprotect(ctypes.c_void_p(at + 4096), ctypes.c_size_t(4096), 0))
    try:
        return checked(libc.send(s.fileno(), ctypes.c_void_p(at + 4096 - readable), ctypes.c_size_t(readable + 100), 0))
    except OSError as e:
        return errno.errorcode[e.errno]


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(Vector)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),
        ("sent", ctypes.c_uint),
    ]


def send_many(s, texts):
    """sendmmsg: how many of them were sent."""
    kept = [ctypes.create_string_buffer(text, len(text)) for text in texts]
    vectors = [Vector(ctypes.addressof(k), len(k)) for k in kept]
    messages = (Message * len(texts))(*[Message(vectors=ctypes.pointer(v), count=1) for v in vectors])
    return checked(libc.sendmmsg(s.fileno(), messages, len(texts), 0))


def splice_own(s, text):
    """Sends memory by way of a pipe without a copy of it, and writes other bytes there at once."""
    memory = mmap.mmap(-1, 1 << 16)
    memory[: len(text)] = text
    at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    out, into = os.pipe()
    checked(libc.vmsplice(into, ctypes.byref(Vector(at, len(text))), ctypes.c_size_t(1), 0))
    os.splice(out, s.fileno(), len(text))
    memory[: len(text)] = b"!" * len(text)
    os.close(out)
    os.close(into)


def forked(*actions):
    """Carries out each in a process of its own, all of them at once; how they ended."""
    ready, go = os.pipe()
    pids = []
    for action in actions:
        pid = os.fork()
        if not pid:
            os.read(ready, 1)
            try:
                action()
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    os.write(go, b"x" * len(pids))
    os.close(ready)
    os.close(go)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def give(path, s):
    """Gives the socket to whoever takes one there."""
    with socket.socket(socket.AF_UNIX) as u:
        u.connect(path)
        socket.send_fds(u, [b"x"], [s.fileno()])


class Taker:
    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def take(self):
        u, _ = self.listener.accept()
        _, fds, _, _ = socket.recv_fds(u, 1, 1)
        u.close()
        return socket.socket(fileno=fds[0])


def undo(s):
    """connect() to AF_UNSPEC: not connected any more."""
    return checked(libc.connect(s.fileno(), struct.pack("H14x", 0), 16))
