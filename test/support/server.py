# SPDX-License-Identifier: Apache-2.0
# A server with a name: server.py NAME tcp/8080 udp/5300 mptcp/8081 tfo/8082 tcp/9000-9031 … on every address of both families.
# TCP: says "NAME PORT" first, then answers each line with "NAME PORT LINE". UDP: answers "NAME PORT TEXT".
# "who" as a line is answered with the peer's address; "reset" makes it close with RST. http/8080: HTTP, 10 ms an answer.
# Prints "ready" once all listen.
import asyncio
import socket
import struct
import sys

MPTCP = 262


def listener(kind, port):
    if kind == "tfo":
        with open("/proc/sys/net/ipv4/tcp_fastopen", "w") as f:
            f.write("3")
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, MPTCP if kind == "mptcp" else 0)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    if kind == "tfo":
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    s.listen(4096)
    s.setblocking(False)
    return s


async def serve(name, port, reader, writer):
    hello = f"{name} {port}"
    try:
        writer.write(f"{hello}\n".encode())
        while line := await reader.readline():
            text = line.decode().strip()
            if text == "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            if text == "who":
                text = writer.get_extra_info("peername")[0]
            writer.write(f"{hello} {text}\n".encode())
    except OSError:
        pass
    finally:
        writer.close()


async def serve_http(name, reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            last = b"connection: close" in head.lower()
            await asyncio.sleep(0.01)
            kept = "close" if last else "keep-alive"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\nConnection: {kept}\r\n\r\n{name}".encode())
            if last:
                break
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


class Echo(asyncio.DatagramProtocol):
    def __init__(self, hello):
        self.hello = hello

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, source):
        self.transport.sendto(f"{self.hello} ".encode() + data, source)


async def main(name, specs):
    loop = asyncio.get_running_loop()
    servers = []
    for spec in specs:
        kind, ports = spec.split("/")
        first, _, last = ports.partition("-")
        for port in range(int(first), int(last or first) + 1):
            if kind == "udp":
                s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                s.bind(("::", port))
                servers.append(await loop.create_datagram_endpoint(lambda p=port: Echo(f"{name} {p}"), sock=s))
            else:
                on = lambda r, w, k=kind, p=port: serve_http(name, r, w) if k == "http" else serve(name, p, r, w)
                servers.append(await asyncio.start_server(on, sock=listener(kind, port)))
    print("ready", flush=True)
    # Ends with its starter: stdin is a pipe that it holds.
    await loop.run_in_executor(None, sys.stdin.read)


try:
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
except KeyboardInterrupt:
    pass
