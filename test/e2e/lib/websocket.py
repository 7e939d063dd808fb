"""A WebSocket client for tests, RFC 6455: says what it is told to, byte for byte, and shows every frame."""
import base64
import hashlib
import os
import select
import socket
import struct

from .http import connect, head_bytes, parse_head

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket:
    def __init__(self, port, target, headers=None, timeout=30, tls=None):
        key = base64.b64encode(os.urandom(16)).decode()
        self._sock = connect(port, timeout, tls)
        self._sock.sendall(head_bytes(target, headers={
            "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13", **(headers or {})}))
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            chunk = self._sock.recv(65536)
            if not chunk:
                break
            self._buffer += chunk
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.status, self.headers, _ = parse_head(head)
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
            assert self.headers["sec-websocket-accept"] == accept

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def wake(self):
        """End the connection, and with that a frame() of another thread."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:  # the server has ended it
            pass

    def waits_for_data(self, seconds):
        """Is there something to read within that time?"""
        return bool(self._buffer or select.select([self._sock], [], [], seconds)[0])

    def _take(self, count):
        while len(self._buffer) < count:
            chunk = self._sock.recv(262144)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def frame(self):
        """The next frame: (opcode, payload).  Raises EOFError when the server has closed."""
        first, second = self._take(2)
        assert first & 0x70 == 0 and first & 0x80, "reserved bits, or a fragment"
        assert second & 0x80 == 0, "servers do not mask"
        size = second & 0x7F
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
            assert size > 125
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
            assert size > 0xFFFF
        return first & 15, self._take(size)

    def wait_for(self, opcode, limit=2000):
        """The payload of the next frame of that kind; binary ones in between are passed over."""
        for _ in range(limit):
            kind, payload = self.frame()
            if kind == opcode:
                return payload
            assert kind == BINARY, kind
        raise AssertionError(f"no frame of kind {opcode} among {limit}")

    def send(self, opcode, payload=b"", masked=True, final=True):
        head = bytes([(0x80 if final else 0) | opcode, (0x80 if masked else 0) | len(payload)])
        assert len(payload) < 126
        if masked:
            mask = os.urandom(4)
            payload = mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
        self._sock.sendall(head + payload)
