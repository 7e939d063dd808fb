"""Hundreds of cheap RTMP and HTTP-FLV cameras in one process, as light_cameras has them for RTSP.

Every stream is a camera: H.264 and AAC at the pace of real time, from the next key frame on.  What all of them send is made
once for each picture.
"""
import math
import multiprocessing
import struct
import subprocess
import threading
import time

import measure  # noqa: F401  first: it leads to lib

from lib.fake_rtmp import CHUNK_BYTES, MEDIA_STREAM, PlayingRtmp, flv_tags, message
from lib.fake_rtsp import FPS
from lib.listener import Listener
from light_process import LightProcess

SAMPLE_RATE, FRAME_SAMPLES = 48000, 1024
GOP = 2 * FPS
SET_CHUNK_SIZE, AUDIO, VIDEO, SCRIPT = 1, 8, 9, 18
FLV_HEAD = b"FLV\1\5\0\0\0\x09\0\0\0\0"


def encode(size, bit_rate):
    """FLV of four seconds."""
    return subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FPS}", "-f", "lavfi", "-i",
         f"sine=440:sample_rate={SAMPLE_RATE}", "-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p",
         "-b:v", bit_rate, "-maxrate", bit_rate, "-bufsize", bit_rate, "-x264-params",
         f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:slices=1", "-c:a", "aac", "-b:a", "64k", "-flvflags",
         "no_duration_filesize", "-f", "flv", "-"], check=True, stdout=subprocess.PIPE, timeout=120).stdout


def tag(kind, body, milliseconds):
    head = bytes([kind]) + struct.pack(">I", len(body))[1:] + struct.pack(">I", milliseconds & 0xFFFFFF)[1:]
    return head + bytes([milliseconds >> 24 & 0xFF, 0, 0, 0]) + body + struct.pack(">I", 11 + len(body))


class Media:
    """begin: what comes first; picture(n): the n-th picture, and the sound until the next.  As (type, body, ms)."""

    def __init__(self, size, bit_rate):
        tags = list(flv_tags(encode(size, bit_rate)))
        configs = [(kind, body, 0) for kind, _, body in tags if kind != SCRIPT and body[1] == 0]
        self.begin = [(kind, body, 0) for kind, _, body in tags if kind == SCRIPT] + configs
        self.pictures = [body for kind, _, body in tags if kind == VIDEO and body[1] == 1]
        self.sound = [body for kind, _, body in tags if kind == AUDIO and body[1] == 1]
        assert len(self.pictures) % GOP == 0

    def picture(self, number):
        yield VIDEO, self.pictures[number % len(self.pictures)], number * 1000 // FPS
        first, last = (math.ceil(n * SAMPLE_RATE / FPS / FRAME_SAMPLES) for n in (number, number + 1))
        for frame in range(first, last):
            yield AUDIO, self.sound[frame % len(self.sound)], frame * FRAME_SAMPLES * 1000 // SAMPLE_RATE


class Sender(threading.Thread):
    """Sends each picture to all that play.  write(type, body, ms) -> bytes of one message or tag."""

    def __init__(self, media, write):
        super().__init__(daemon=True)
        self.media, self.write = media, write
        self.waiting, self.playing = [], []  # sockets; the former wait for a key frame
        self.start()

    def run(self):
        number, begun = 0, time.monotonic()
        while True:
            if number % GOP == 0:
                self.waiting, joining = [], self.waiting
                self.playing += joining
            data = b"".join(self.write(*what) for what in self.media.picture(number)) if self.playing else b""
            self.playing = [sock for sock in self.playing if self.send(sock, data)]
            number += 1
            time.sleep(max(0, begun + number / FPS - time.monotonic()))

    @staticmethod
    def send(sock, data):
        try:
            sock.sendall(data)
        except OSError:
            return False
        return True


class LightRtmp(PlayingRtmp):
    def __init__(self, media, chunk_bytes):
        self.chunk_bytes = chunk_bytes
        self.sender = Sender(media, self.write)
        super().__init__(b"")

    def write(self, kind, body, milliseconds):
        return message(kind, body, milliseconds, MEDIA_STREAM, 1, self.chunk_bytes)

    def play(self, peer):
        if self.chunk_bytes != CHUNK_BYTES:
            peer.sendall(message(SET_CHUNK_SIZE, struct.pack(">I", self.chunk_bytes)))
        peer.sendall(b"".join(self.write(*what) for what in self.sender.media.begin))
        peer.settimeout(None)
        self.sender.waiting.append(peer)


class LightHttp(Listener):
    def __init__(self, media):
        self.sender = Sender(media, tag)
        super().__init__()

    def serve(self, sock):
        with sock as peer:
            while b"\r\n\r\n" not in peer.recv(4096):
                pass
            begin = b"".join(tag(*what) for what in self.sender.media.begin)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\nConnection: close\r\n\r\n" + FLV_HEAD + begin)
            self.sender.waiting.append(peer)
            while peer.recv(4096):  # until the client goes
                pass


def serve(media, chunk_bytes, ports):
    servers = LightRtmp(media, chunk_bytes), LightHttp(media)
    ports.put([server.port for server in servers])
    threading.Event().wait()


class LightFlv(LightProcess):
    """with LightFlv("1280x720", "2M") as cameras: cameras.rtmp_url(7), cameras.http_url(7)

    chunk_bytes: the RTMP chunk size that the server sets; 128 is RTMP's own, most servers set 4096 and more.
    """

    def __init__(self, size, bit_rate, chunk_bytes=4096):
        self.media, self.chunk_bytes = Media(size, bit_rate), chunk_bytes

    def __enter__(self):
        ports = multiprocessing.Queue()
        self.start_process(serve, self.media, self.chunk_bytes, ports)
        self.rtmp_port, self.http_port = ports.get(timeout=60)
        return self

    def rtmp_url(self, number):
        return f"rtmp://127.0.0.1:{self.rtmp_port}/live/camera-{number}"

    def http_url(self, number):
        return f"http://127.0.0.1:{self.http_port}/camera-{number}.flv"
