# SPDX-License-Identifier: Apache-2.0
# Ways to send through a socket, and what a waypoint says of it (waypoint_server.py).
import hashlib
import errno
import json
import os
import select
import socket
import tempfile

SIZE = 3_000_000


def blob(n=SIZE):
    """No two of its kilobytes are alike at the same place."""
    return (bytes(range(251)) * (n // 251 + 1))[:n]


def connect(host, port, timeout=20):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.settimeout(timeout)
    s.connect((host, port))
    s.setblocking(True)
    return s


def finish(s):
    """Half-closes; what the waypoint has read."""
    s.setblocking(True)
    s.settimeout(20)
    s.shutdown(socket.SHUT_WR)
    data = b""
    while part := s.recv(65536):
        data += part
    s.close()
    return json.loads(data.splitlines()[-1])


def by_write(s, data):
    while data:
        data = data[os.write(s.fileno(), data) :]


def by_writev(s, data):
    while data:
        pieces = [data[i : i + 1000] for i in range(0, min(len(data), 100_000), 1000)]
        data = data[os.writev(s.fileno(), pieces) :]


def by_sendfile(s, data):
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.flush()
        at = 0
        while at < len(data):
            at += os.sendfile(s.fileno(), f.fileno(), at, len(data) - at)


def by_splice(s, data):
    out, into = os.pipe()
    try:
        while data:
            n = os.write(into, data[:60_000])
            data = data[n:]
            while n:
                n -= os.splice(out, s.fileno(), n)
    finally:
        os.close(out)
        os.close(into)


def by_byte(s, data):
    s.send(data[:1])
    s.sendall(data[1:])


def by_bytes(s, data):
    for i in range(50):
        s.send(data[i : i + 1])
    s.sendall(data[50:])


def by_megabyte(s, data):
    sent = s.send(data[: 1 << 20])
    s.sendall(data[sent:])


def by_eagain(s, data):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000)
    s.setsockopt(socket.SOL_SOCKET, 47, 10_000_000)  # SO_MAX_PACING_RATE: or the waypoint reads as fast as this sends
    s.setblocking(False)
    full = 0
    while data:
        try:
            data = data[s.send(data) :]
        except BlockingIOError:
            full += 1
            select.select([], [s], [], 20)
    assert full > 0, "never full"


def by_more(s, data):
    for i in range(0, 5000, 100):
        s.send(data[i : i + 100], socket.MSG_MORE)
    s.sendall(data[5000:])


def by_small_buffer(s, data):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    s.sendall(data[:200_000])
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    s.sendall(data[200_000:])


WAYS = {name[3:]: f for name, f in list(globals().items()) if name.startswith("by_")}


def send(way, host, port):
    """True where all of it, and nothing else, came after the header; and what the waypoint says."""
    data = blob()
    s = connect(host, port)
    own = s.getsockname()[:2]
    WAYS[way](s, data)
    said = finish(s)
    whole = said["bytes"] == len(data) and said["hash"] == hashlib.sha256(data).hexdigest()
    return {"whole": whole, "own": list(own), "said": said}


def short(s, text=b"hello"):
    """Sends this; what the waypoint says."""
    s.sendall(text)
    return finish(s)
