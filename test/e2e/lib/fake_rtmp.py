"""Two RTMP servers (Adobe RTMP 1.0): one that rejects `connect`, one that plays recorded FLV tags."""
import struct
import time

from .listener import Listener

HANDSHAKE_BYTES = 1536
CHUNK_BYTES = 128  # until somebody says otherwise
COMMAND, CONTROL_STREAM, MEDIA_STREAM = 20, 3, 4
AMF_NUMBER_BYTES = 9
AMF_CONNECT_BYTES = 3 + len("connect") + AMF_NUMBER_BYTES  # before the command's first argument
AMF_PLAY_BYTES = 3 + len("play") + AMF_NUMBER_BYTES


def _string(text):
    return struct.pack(">H", len(text)) + text.encode()


def _amf(value):
    """AMF0 of a string, a number, None or a dictionary."""
    if value is None:
        return b"\x05"
    if isinstance(value, str):
        return b"\x02" + _string(value)
    if isinstance(value, dict):
        return b"\x03" + b"".join(_string(k) + _amf(v) for k, v in value.items()) + b"\0\0\x09"
    return b"\x00" + struct.pack(">d", value)


def message(kind, body, timestamp=0, chunk_stream=CONTROL_STREAM, stream_id=0, chunk_bytes=CHUNK_BYTES):
    """One message, whose header is complete (chunk type 0)."""
    chunks = [body[at:at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    return (bytes([chunk_stream]) + struct.pack(">I", timestamp)[1:] + struct.pack(">I", len(body))[1:] + bytes([kind])
            + struct.pack("<I", stream_id) + bytes([0xC0 | chunk_stream]).join(chunks))


def command(name, transaction, *values, stream_id=0):
    return message(COMMAND, b"".join(map(_amf, (name, transaction, *values))), stream_id=stream_id)


def flv_tags(flv):
    """(type, timestamp, body) of each tag."""
    at = 13
    while at + 11 <= len(flv):
        size = int.from_bytes(flv[at + 1:at + 4], "big")
        yield flv[at], int.from_bytes(flv[at + 4:at + 7], "big"), flv[at + 11:at + 11 + size]
        at += 11 + size + 4


class RtmpServer(Listener):
    """tls: an ssl server context, for rtmps."""

    def __init__(self, tls=None):
        self.tls = tls
        self.connects = 0  # `connect` commands so far
        super().__init__()

    def serve(self, sock):
        with sock if self.tls is None else self.tls.wrap_socket(sock, server_side=True) as peer:
            peer.settimeout(20)
            _receive(peer, 1 + HANDSHAKE_BYTES)
            peer.sendall(b"\x03" + bytes(2 * HANDSHAKE_BYTES))
            _receive(peer, HANDSHAKE_BYTES)
            transaction = _await_command(peer, b"connect")
            self.connects += 1
            self.answer(peer, transaction)
            while peer.recv(4096):  # until the client goes
                pass

    def answer(self, peer, transaction):
        """`connect` came."""
        raise NotImplementedError


class RejectingRtmp(RtmpServer):
    """descriptions: what the error says, first, second …, the last for ever."""

    def __init__(self, *descriptions, tls=None):
        self.descriptions = descriptions
        super().__init__(tls)

    def answer(self, peer, transaction):
        description = self.descriptions[min(self.connects, len(self.descriptions)) - 1]
        peer.sendall(command("_error", transaction, None, {
            "level": "error", "code": "NetConnection.Connect.Rejected", "description": description}))


class PlayingRtmp(RtmpServer):
    """Sends the tags of an FLV file in real time, once.  asked: (application, stream) of each client."""

    def __init__(self, flv):
        self.flv = flv
        self.begun = 0  # when the last client began to play
        self.asked = []
        super().__init__()

    def answer(self, peer, transaction):
        app = _read_string(peer, AMF_CONNECT_BYTES, b"\x03\0\3app\x02")
        peer.sendall(command("_result", transaction, None, {
            "level": "status", "code": "NetConnection.Connect.Success", "description": "Connected"}))
        peer.sendall(command("_result", _await_command(peer, b"createStream"), None, 1))
        _await_command(peer, b"play")
        self.asked.append((app, _read_string(peer, AMF_PLAY_BYTES, b"\x05\x02")))
        peer.sendall(command("onStatus", 0, None, {
            "level": "status", "code": "NetStream.Play.Start", "description": "Playing"}, stream_id=1))
        self.begun = time.monotonic()
        self.play(peer)

    def wait_until(self, timestamp):
        time.sleep(max(0, self.begun + timestamp / 1000 - time.monotonic()))

    def play(self, peer):
        for kind, timestamp, body in flv_tags(self.flv):
            self.wait_until(timestamp)
            peer.sendall(message(kind, body, timestamp, MEDIA_STREAM, 1))


def _receive(sock, count):
    data = b""
    while len(data) < count:
        chunk = sock.recv(count - len(data))
        if not chunk:
            raise ConnectionError("the client closed")
        data += chunk
    return data


def _read_payload(sock, count, at):
    """The next bytes of a message of which at bytes have been read, without the chunks' headers."""
    data = b""
    for n in range(at, at + count):
        if n % CHUNK_BYTES == 0:
            assert _receive(sock, 1)[0] & 0xC0 == 0xC0, "not the next chunk"
        data += _receive(sock, 1)
    return data


def _read_string(sock, at, before):
    """The string that follows these bytes of a message."""
    assert _read_payload(sock, len(before), at) == before
    at += len(before)
    count = int.from_bytes(_read_payload(sock, 2, at), "big")
    return _read_payload(sock, count, at + 2).decode()


def _await_command(sock, name):
    """Read until a command of that name came -> its transaction number."""
    wanted, data = _amf(name.decode()), b""
    while not data.endswith(wanted):
        data += _receive(sock, 1)
    return struct.unpack(">xd", _receive(sock, 9))[0]
