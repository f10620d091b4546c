# SPDX-License-Identifier: Apache-2.0
# A Python that carries out what it is told: one JSON line {"code", "args"} in, one JSON line {"out"} or {"error"} out.
# Names set by a piece of code stay for the next one; its answer is what it leaves in `out`.
import errno
import json
import os
import socket
import struct
import sys
import threading
import time

MPTCP = 262
SO_BINDTODEVICE = 25


def address(host):
    """The family of a literal address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def first_line(sock):
    """What the server says first: "name port"."""
    data = b""
    while not data.endswith(b"\n"):
        part = sock.recv(256)
        if not part:
            raise ConnectionError("closed before a line came")
        data += part
    return data.decode().strip()


def dial(host, port, proto=0, timeout=5, family=None):
    """A connected TCP socket."""
    s = socket.socket(family or address(host), socket.SOCK_STREAM, proto)
    s.settimeout(timeout)
    try:
        s.connect((host, port))
    except OSError:
        s.close()
        raise
    return s


def call(host, port, proto=0, timeout=5, family=None):
    """Who answers a TCP connection: the server's name."""
    with dial(host, port, proto, timeout, family) as s:
        return first_line(s).split()[0]


def calls(host, port, n, **options):
    """Who answered how often; a failure counts under its errno's name."""
    counts = {}
    for _ in range(n):
        try:
            who = call(host, port, **options)
        except OSError as e:
            who = name_of(e)
        counts[who] = counts.get(who, 0) + 1
    return counts


def echo(sock, text):
    """One line sent on a TCP connection, one line back."""
    sock.sendall(text.encode() + b"\n")
    return first_line(sock)


def ask(host, port, text="x", timeout=5, family=None):
    """One datagram from an unconnected socket: {who, source address, source port}."""
    with socket.socket(family or address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        return exchange(s, host, port, text)


def exchange(s, host, port, text="x"):
    """sendto and recvfrom: {who, source address, source port}."""
    s.sendto(text.encode(), (host, port))
    data, source = s.recvfrom(2048)
    return {"who": data.decode().split()[0], "host": source[0], "port": source[1]}


def asks(host, port, n, **options):
    """Who answered how many datagrams, each from a socket of its own."""
    counts = {}
    for _ in range(n):
        try:
            who = ask(host, port, **options)["who"]
        except OSError as e:
            who = name_of(e)
        counts[who] = counts.get(who, 0) + 1
    return counts


def name_of(e):
    if isinstance(e, socket.timeout):
        return "timeout"
    return errno.errorcode.get(e.errno, str(e)) if isinstance(e, OSError) and e.errno else type(e).__name__


def failure(action):
    """Name of the errno that `action` fails with, '' when it does not fail."""
    try:
        action()
    except OSError as e:
        return name_of(e)
    return ""


def main():
    scope = dict(globals())
    for line in sys.stdin:
        order = json.loads(line)
        scope.update(order.get("args") or {})
        scope["out"] = None
        try:
            exec(order["code"], scope)
            answer = {"out": scope["out"]}
        except BaseException as e:  # whatever it was, the other side is told
            answer = {"error": name_of(e), "text": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer, default=repr), flush=True)


main()
