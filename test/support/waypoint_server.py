# SPDX-License-Identifier: Apache-2.0
# What stands in for a waypoint: reads a header, then all that comes, and answers what it has read as one line of JSON.
import hashlib
import ipaddress
import json
import socket
import struct
import threading

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def parts(data):
    """Type-length-value parts of a PROXY header, by type in hex; the padding ones left out."""
    found = {}
    while data:
        kind, length = struct.unpack_from("!BH", data)
        if kind != 4:
            found[f"{kind:02x}"] = data[3 : 3 + length].decode()
        data = data[3 + length :]
    return found


class Reader:
    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def exactly(self, n):
        while len(self.data) < n:
            part = self.sock.recv(65536)
            if not part:
                raise EOFError
            self.data += part
        out, self.data = self.data[:n], self.data[n:]
        return out

    def header(self):
        first = self.exactly(1)
        if first == b"\x01":
            (length,) = struct.unpack("!I", self.exactly(4))
            body = self.exactly(length)
            if self.exactly(5) != b"\xfe\0\0\0\0":
                return {"kind": "bad end"}
            to = ipaddress.ip_address(body[:-2])
            return {"kind": "kmesh", "to": [str(to), struct.unpack("!H", body[-2:])[0]]}
        rest = self.exactly(15)
        if first + rest[:11] != SIGNATURE:
            return {"kind": "none", "first": (first + rest).decode("latin1")}
        command, family, length = rest[11], rest[12], struct.unpack("!H", rest[13:])[0]
        if command != 0x21 or family not in (0x11, 0x21):
            return {"kind": f"bad command {command:x} {family:x}"}
        size = 4 if family == 0x11 else 16
        body = self.exactly(length)
        source, to = (str(ipaddress.ip_address(body[i * size : (i + 1) * size])) for i in range(2))
        ports = struct.unpack_from("!HH", body, 2 * size)
        found = {"kind": "proxy", "from": [source, ports[0]], "to": [to, ports[1]]}
        return {**found, "parts": parts(body[2 * size + 4 :])}


class Waypoint:
    """Listens at `port` of every address. `log` has what each connection came to, as soon as it is known; `heard` all headers, as soon as they were read."""

    def __init__(self, port, bare=False, backlog=1024):
        self.bare = bare
        self.log = []
        self.heard = []
        self.opened = 0
        self.listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.listener.bind(("::", port))
        self.listener.listen(backlog)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            self.opened += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        record = {"peer": str(ipaddress.ip_address(sock.getpeername()[0]).ipv4_mapped or sock.getpeername()[0])}
        record["port"] = sock.getpeername()[1]
        record["header"] = "closed"
        digest, count = hashlib.sha256(), 0
        try:
            reader = Reader(sock)
            record["header"] = None if self.bare else reader.header()
            self.heard.append(record["header"])
            digest.update(reader.data)
            count += len(reader.data)
            # What asks for a line gets one at once.
            if reader.data.endswith(b"?\n"):
                sock.sendall(b"line\n")
            while part := sock.recv(1 << 20):
                digest.update(part)
                count += len(part)
                if part.endswith(b"?\n"):
                    sock.sendall(b"line\n")
        except EOFError:
            if reader.data:
                record["header"] = reader.data.decode("latin1")
        except OSError as e:
            record["error"] = str(e)
        record["bytes"] = count
        record["hash"] = digest.hexdigest()
        self.log.append(record)
        try:
            sock.sendall(json.dumps(record).encode() + b"\n")
        except OSError:
            pass
        sock.close()

    def deaf(self, on):
        """While on, no handshake goes on: SYNs are dropped, and come again a second later."""
        if not on:
            self.listener.setsockopt(socket.SOL_SOCKET, 27, 0)  # SO_DETACH_FILTER
            return
        import ctypes

        code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # return 0
        program = struct.pack("HxxxxxxP", 1, ctypes.addressof(code))
        self.listener.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER
