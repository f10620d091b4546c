# SPDX-License-Identifier: Apache-2.0
# A TCP server made by hand, for one connection at a time: windows and segments of any size, answers that do not come, data out of order.
import ctypes
import socket
import struct
import threading
import time

from waypoint_server import Reader

FIN, SYN, RST, ACK = 1, 2, 4, 16


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Bytes:
    """What a Reader takes for a socket."""

    def __init__(self, data):
        self.data = data

    def recv(self, n):
        part, self.data = self.data[:n], self.data[n:]
        return part


class Peer:
    """
    Answers the next connection to the port. `windows`: what each acknowledgement announces, the last one for good. `ignored`: so many
    packets with data are not acknowledged. `again`: as if the last packet of the handshake had been lost. Before the first byte of the
    client come those of `early`, and `holes` more, each after a hole.
    """

    def __init__(self, address, port, mss=1400, windows=(64000,), ignored=0, again=False, early="", holes=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.family, self.address, self.port, self.mss = family, address, port, mss
        self.windows, self.ignored, self.holes = list(windows), ignored, holes
        self.again = again
        self.early, self.next = early.encode(), 1001
        # The kernel would reset what it does not know.
        self.cover = socket.socket(family, socket.SOCK_STREAM)
        self.cover.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # return 0
        self.cover.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))
        self.cover.bind(("", port))
        self.cover.listen()
        self.raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.client = self.start = None
        self.packets = []  # offset, data, bytes of options
        self.torn = self.over = self.told = False
        self.data = {}
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        self.raw.settimeout(0.2)
        while not self.over:
            try:
                data, (host, *_) = self.raw.recvfrom(65536)
            except TimeoutError:
                continue
            if self.family == socket.AF_INET:
                data = data[(data[0] & 15) * 4 :]
            sport, port, seq, ack, offset, flags = struct.unpack("!HHIIBB", data[:14])
            if port == self.port and self.client in (None, (host, sport)):
                self.take(host, sport, seq, flags, data[20 : (offset >> 4) * 4], data[(offset >> 4) * 4 :])

    def take(self, host, sport, seq, flags, options, data):
        if flags & SYN:
            self.client, self.start = (host, sport), seq + 1 & 0xFFFFFFFF
            self.stamp(options)
            self.welcome()
            return
        if self.client is None or flags & RST:
            return
        self.stamp(options)
        offset = seq - self.start & 0xFFFFFFFF
        if data and offset < 1 << 31:
            self.packets.append([offset, len(data), len(options)])
            for i, byte in enumerate(data):
                self.torn |= self.data.setdefault(offset + i, byte) != byte
            if self.ignored:
                self.ignored -= 1
            else:
                self.send(ACK, self.next)
        elif seq + 1 & 0xFFFFFFFF == self.start:
            self.send(ACK, self.next)  # a probe
        if self.again:
            self.again = False
            self.welcome()
        if self.early:
            self.send(ACK, self.next, b"", self.early)
            self.next, self.early = self.next + len(self.early), b""
        for i in range(self.holes):
            self.send(ACK, self.next + 10 * (i + 1), b"", b"x")
            self.told = True
        self.holes = 0

    def welcome(self):
        self.send(SYN | ACK, 1000, struct.pack("!BBHBB", 2, 4, self.mss, 4, 2))

    def stamp(self, options):
        """Remembers the time stamp, for the answer."""
        self.ts = None
        while options and options[0]:
            if options[0] == 8:
                self.ts = options[2:6]
            options = options[1:] if options[0] == 1 else options[options[1] :]

    def stream(self):
        out = bytearray()
        while len(out) in self.data:
            out.append(self.data[len(out)])
        return bytes(out)

    def send(self, flags, seq, options=b"", data=b""):
        if self.ts:
            options += struct.pack("!BBI", 8, 10, int(time.time() * 1000) & 0xFFFFFFFF) + self.ts
        options += b"\0" * (-len(options) % 4)
        window = self.windows.pop(0) if len(self.windows) > 1 and not flags & SYN else self.windows[0]
        ack = self.start + len(self.stream()) & 0xFFFFFFFF
        head = struct.pack("!HHIIBB", self.port, self.client[1], seq, ack, (20 + len(options)) // 4 << 4, flags)
        segment = head + struct.pack("!HHH", window, 0, 0) + options + data
        own = socket.inet_pton(self.family, self.address)
        pseudo = own + socket.inet_pton(self.family, self.client[0]) + struct.pack("!II", len(segment), 6)
        self.raw.sendto(segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:], (self.client[0], 0))

    def close(self):
        """What came: its header (None: not all of it), the bytes after it, whether any came a second time as another one."""
        self.cover.close()
        self.over = True
        reader = Reader(Bytes(self.stream()))
        try:
            header = reader.header()
        except EOFError:
            header = None
        rest = reader.data + reader.sock.data
        return {"header": header, "rest": rest.decode("latin1"), "torn": self.torn, "packets": self.packets}
