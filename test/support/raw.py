# SPDX-License-Identifier: Apache-2.0
# Packets made by hand, for remote.py to carry out: handshakes held half-way, other sources' addresses, frames that no kernel sends.
import ctypes

IPPROTO_UDPLITE = 136
SYN, ACK, FIN = 2, 16, 1


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def binary(host):
    return socket.inet_pton(address(host), host)


def summed(source, to, protocol, segment, at):
    """A segment with its checksum at `at`."""
    pseudo = binary(source) + binary(to) + struct.pack("!II", len(segment), protocol)
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + segment[at + 2 :]


def tcp_segment(source, to, sport, port, flags, seq=0, ack=0, data=b""):
    head = struct.pack("!HHIIBBHHH", sport, port, seq, ack, 5 << 4, flags, 64240, 0, 0)
    return summed(source, to, 6, head + data, 16)


def udp_segment(source, to, sport, port, data):
    return summed(source, to, 17, struct.pack("!HHHH", sport, port, 8 + len(data), 0) + data, 6)


def packet(source, to, protocol, segment):
    if ":" in to:
        return struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + binary(source) + binary(to) + segment
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0) + binary(source) + binary(to)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + segment


def send_packet(source, to, protocol, segment):
    """By the kernel's routes, with whatever source."""
    with socket.socket(address(to), socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
        s.sendto(packet(source, to, protocol, segment), (to, 0))


def send_frame(device, to_mac, kind, payload):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((device, 0))
        own = s.getsockname()[4]
        s.send(bytes.fromhex(to_mac.replace(":", "")) + own + struct.pack("!H", kind) + payload)


def mac_of(device):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((device, 0))
        return s.getsockname()[4].hex(":")


def tell(host, port, text="x", timeout=5):
    """One datagram from a connected socket, which hears of a refusal: who answers."""
    with socket.socket(address(host), socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect((host, port))
        s.send(text.encode())
        return s.recv(65536).decode().split()[0]


def outcome(action):
    """What it comes to, or the errno's name."""
    try:
        return action()
    except OSError as e:
        return name_of(e)


def tries(host4, host6, port):
    """One connection and one datagram for each family."""
    return {
        "tcp4": outcome(lambda: call(host4, port)),
        "tcp6": outcome(lambda: call(host6, port)),
        "udp4": outcome(lambda: tell(host4, port)),
        "udp6": outcome(lambda: tell(host6, port)),
    }


def counters():
    """The kernel's counters of this namespace, "Tcp.PassiveOpens" and so on."""
    found = {}
    for name in "snmp", "netstat":
        with open(f"/proc/self/net/{name}") as f:
            lines = [line.split() for line in f]
        for names, values in zip(lines[::2], lines[1::2]):
            found.update((names[0][:-1] + "." + n, int(v)) for n, v in zip(names[1:], values[1:]))
    with open("/proc/self/net/snmp6") as f:
        found.update((name, int(value)) for name, value in map(str.split, f))
    return found


def reached():
    """Connections that were accepted here, and datagrams that a socket took in."""
    c = counters()
    return {"connections": c["Tcp.PassiveOpens"], "datagrams": c["Udp.InDatagrams"] + c["Udp6InDatagrams"]}


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def deaf(sock):
    """Every packet that comes to the socket is dropped without an answer."""
    code = struct.pack("HBBI", 6, 0, 0, 0)  # return 0
    program = Filter(1, code)
    sock.setsockopt(socket.SOL_SOCKET, 26, bytes(program))  # SO_ATTACH_FILTER


class Handshake:
    """A TCP client that sends what it is told to and nothing else: the first packet at once, and waits for the answer to it."""

    def __init__(self, source, to, port, sport=0, data=b""):
        self.source, self.to, self.port = source, to, port
        # The kernel would reset what it does not know.
        self.cover = socket.socket(address(to))
        self.cover.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.cover.bind((source, sport))
        self.cover.listen()
        deaf(self.cover)
        self.sport = self.cover.getsockname()[1]
        self.raw = socket.socket(address(to), socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.raw.settimeout(5)
        self.seq, self.ack = 1000, 0
        self.send(SYN, data)
        self.seq += 1
        flags, seq = self.receive()
        self.answer = "reset" if flags & 4 else "accepted"
        self.ack = seq + 1 & 0xFFFFFFFF

    def send(self, flags, data=b""):
        segment = tcp_segment(self.source, self.to, self.sport, self.port, flags, self.seq, self.ack, data)
        send_packet(self.source, self.to, 6, segment)

    def receive(self):
        """Flags and sequence number of the next packet to this client."""
        while True:
            data, (host, *_) = self.raw.recvfrom(2048)
            # IPv4 raw sockets see the header of the packet.
            data = data if ":" in self.to else data[(data[0] & 15) * 4 :]
            sport, port, seq, _, _, flags = struct.unpack("!HHIIBB", data[:14])
            if host == self.to and sport == self.port and port == self.sport:
                return flags, seq

    def finish(self, data=b""):
        """The last packet of the handshake, with data."""
        self.send(ACK, data)
        self.seq += len(data)

    def fate(self):
        """"reset", or "open" when ten seconds go by without."""
        self.raw.settimeout(10)
        try:
            while True:
                if self.receive()[0] & 4:
                    return "reset"
        except TimeoutError:
            return "open"

    def close(self):
        self.raw.close()
        self.cover.close()
