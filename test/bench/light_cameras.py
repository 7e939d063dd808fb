"""Hundreds of cheap RTSP cameras in one process, for benches in which the sample cameras would be the limit.

A sample camera costs its server tens of milliseconds of processor time for each session; here a session costs a fraction of
one: the packets of a frame are made once for all sessions that play it, as long as KEPT_FRAMES lie between the first and
the last of them.  Every path is a camera: H.264 and AAC over the RTSP connection (RFC 2326, RFC 6184, RFC 3640), from a
key frame on, at the pace of real time.
"""
import functools
import heapq
import itertools
import math
import re
import selectors
import socket
import struct
import subprocess
import time

import measure  # noqa: F401  first: it leads to lib

from lib.fake_rtsp import FPS, media, rtp_payloads
from light_process import LightProcess

SAMPLE_RATE, FRAME_SAMPLES = 48000, 1024
BACKLOG = 1024
UNSENT_BYTES = 1 << 20  # more waits for a client: it misses frames
KEPT_FRAMES = 1000


def aac_frames(seconds):
    """AAC-LC of a tone, mono -> access units."""
    data = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"sine=440:sample_rate={SAMPLE_RATE}", "-t",
         str(seconds), "-c:a", "aac", "-b:a", "64k", "-f", "adts", "-"], check=True, stdout=subprocess.PIPE,
        timeout=60).stdout
    frames = []
    while data:
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        frames.append(data[7:size])
        data = data[size:]
    return frames


def interleaved(channel, kind, sequence, timestamp, payload):
    head = struct.pack(">BBHII", 0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 0x1000 + channel)
    return struct.pack(">BBH", 0x24, channel, len(head) + len(payload)) + head + payload


class Loop:
    """The packets of each video frame, and of the sound until the next one, as every session sends them."""

    def __init__(self, size, bit_rate):
        units, self.audio = media("h264", size, 4, bit_rate, gop=2 * FPS).units, aac_frames(4)
        self.video = [[p for nal in unit for p in rtp_payloads("h264", nal)] for unit in units]
        # Packets of the loop before each of its frames; the last one: of the whole loop.
        self.before = list(itertools.accumulate(map(len, self.video), initial=0))
        self.chunk = functools.lru_cache(KEPT_FRAMES)(self.make)

    def make(self, number):
        repetition, at = divmod(number, len(self.video))
        sequence = repetition * self.before[-1] + self.before[at]
        payloads = self.video[at]
        packets = [interleaved(0, 96 | (0x80 if i == len(payloads) else 0), sequence + i, number * 90000 // FPS, payload)
                   for i, payload in enumerate(payloads, 1)]
        first, last = (math.ceil(n * SAMPLE_RATE / FPS / FRAME_SAMPLES) for n in (number, number + 1))
        for frame in range(first, last):
            unit = self.audio[frame % len(self.audio)]
            packets.append(interleaved(2, 97 | 0x80, frame + 1, frame * FRAME_SAMPLES,
                                       struct.pack(">HH", 16, len(unit) << 3) + unit))
        return b"".join(packets)

    def sdp(self):
        return "\r\n".join([
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=light", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
            "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=control:1",
            "m=audio 0 RTP/AVP 97", f"a=rtpmap:97 mpeg4-generic/{SAMPLE_RATE}/1",
            "a=fmtp:97 mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1188", "a=control:2"]) + "\r\n"


class Session:
    def __init__(self, sock):
        self.sock, self.read, self.unsent = sock, b"", b""
        self.begun, self.frame = 0.0, 0

    def send(self, data):
        if len(self.unsent) < UNSENT_BYTES:
            self.unsent += data
        try:
            self.unsent = self.unsent[self.sock.send(self.unsent, socket.MSG_NOSIGNAL):]
        except BlockingIOError:
            pass

    def requests(self, data):
        """The heads of requests; interleaved packets of the client are dropped."""
        self.read += data
        while self.read:
            if self.read[:1] == b"$":
                size = 4 + struct.unpack(">H", self.read[2:4])[0] if len(self.read) >= 4 else math.inf
                if len(self.read) < size:
                    return
                self.read = self.read[size:]
                continue
            head, end, rest = self.read.partition(b"\r\n\r\n")
            if not end:
                return
            self.read = rest
            yield head.decode("latin-1")


class Server:
    def __init__(self, listener, loop):
        self.listener, self.loop, self.selector = listener, loop, selectors.DefaultSelector()
        self.due, self.order = [], itertools.count()
        self.selector.register(listener, selectors.EVENT_READ)

    def run(self):
        while True:
            wait = self.due[0][0] - time.monotonic() if self.due else 1
            for key, _ in self.selector.select(max(0, wait)):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.serve(key.data)
            self.play()

    def accept(self):
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Session(sock))

    def drop(self, session):
        if session.sock.fileno() >= 0:
            self.selector.unregister(session.sock)
            session.sock.close()

    def serve(self, session):
        try:
            data = session.sock.recv(65536)
            for head in session.requests(data):
                self.answer(session, head)
            if not data:
                self.drop(session)
        except OSError:
            self.drop(session)

    def answer(self, session, head):
        method, uri = head.split(" ", 2)[:2]
        lines, body = ["Session: 1;timeout=60"], ""
        if method == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        elif method == "DESCRIBE":
            body = self.loop.sdp()
            lines += [f"Content-Base: {uri}/", "Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            channel = 2 if uri.endswith("2") else 0
            lines.append(f"Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}")
        elif method == "PLAY":
            session.begun = time.monotonic()
            heapq.heappush(self.due, (session.begun, next(self.order), session))
        sequence = re.search(r"(?i)^cseq: *(\d+)", head, re.M).group(1)
        session.send(("\r\n".join(["RTSP/1.0 200 OK", f"CSeq: {sequence}", *lines]) + "\r\n\r\n" + body).encode())

    def play(self):
        now = time.monotonic()
        while self.due and self.due[0][0] <= now:
            session = heapq.heappop(self.due)[2]
            if session.sock.fileno() < 0:
                continue
            try:
                session.send(self.loop.chunk(session.frame))
            except OSError:
                self.drop(session)
                continue
            session.frame += 1
            heapq.heappush(self.due, (session.begun + session.frame / FPS, next(self.order), session))


def serve(listener, loop):
    Server(listener, loop).run()


class LightCameras(LightProcess):
    """with LightCameras("1280x720", "2M") as cameras: cameras.rtsp_url(7) ..."""

    def __init__(self, size, bit_rate):
        self.loop = Loop(size, bit_rate)

    def __enter__(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.rtsp_port = listener.getsockname()[1]
        self.start_process(serve, listener, self.loop)
        listener.close()
        return self

    def rtsp_url(self, number):
        return f"rtsp://127.0.0.1:{self.rtsp_port}/camera-{number}"
