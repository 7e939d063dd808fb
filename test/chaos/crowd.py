"""What chaos and soak have in common: cameras, a gateway that can be started again, players and pollers that come back
and judge everything that they get."""
import os
import socket
import sys
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))

from lib import fake_rtsp  # noqa: E402
from lib.flv import FlvError, FlvReader  # noqa: E402
from lib.gateway import Gateway  # noqa: E402
from lib.http import connect, head_bytes, parse_head, request, stream_target  # noqa: E402
from lib.ports import free_port  # noqa: E402
from lib.wait import wait_for  # noqa: E402
from lib.websocket import BINARY, CLOSE, WebSocket  # noqa: E402

RETRY_S = 0.3
STEP_MAX_MS = 15000  # between two pictures of a rendition, which leaves some out when the machine is busy
WAYS = {"http": {}, "websocket": {}, "h264": {"allow_h265": "false"}, "h264-websocket": {"allow_h265": "false"}}


class Camera(fake_rtsp.FakeCamera):
    """Knows the place of each picture in its loop."""

    def __init__(self, name, codec="h264", audio=True):
        super().__init__(fake_rtsp.media(codec, bit_rate="200k"), audio=audio)
        self.name, self.place = name, {picture: n for n, picture in enumerate(self.video.slices())}

    def listing(self):
        return f'[camera "{self.name}"]\nurl = {self.url()}\n'


class PipedLog:
    """Reads the gateway's log from a pipe into a file, unless it is told to pause."""

    def __init__(self, path):
        self.path, self.reading = path, threading.Event()
        self.reading.set()
        self._reads, self.writes = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        os.close(self.writes)
        self._thread.start()

    def _run(self):
        with open(self.path, "ab") as file, os.fdopen(self._reads, "rb", buffering=0) as pipe:
            while chunk := pipe.read(65536):
                file.write(chunk)
                file.flush()
                self.reading.wait()

    def close(self):
        self.reading.set()
        self._thread.join(30)


class Town:
    """The cameras and the gateway in front of them, always at the same ports."""

    def __init__(self, directory, cameras, options):
        self.directory, self.cameras, self.options = directory, cameras, options
        self.flv_port, self.snapshot_port = free_port(), free_port()
        self.gateway = self.piped = None
        self.unwell_until = 0  # time.monotonic(); /healthz may answer 503 until then

    def config(self):
        return (f"[server]\nbind = 127.0.0.1\nflv_port = {self.flv_port}\nsnapshot_port = {self.snapshot_port}\n"
                + self.options + "".join(camera.listing() for camera in self.cameras))

    def start(self, prefix=()):
        log = os.path.join(self.directory, f"gateway-{self.flv_port}.log")
        self.piped = PipedLog(log)
        self.gateway = Gateway(self.directory, self.config(), ports=(self.flv_port, self.snapshot_port),
                               log_level=None, prefix=prefix, stderr=self.piped.writes)
        self.piped.start()

    def stop(self):
        """The gateway ends well and leaves nothing behind."""
        self.piped.reading.set()
        self.gateway.stop()
        self.piped.close()

    def request(self, target, method="GET", timeout=60):
        return request(self.snapshot_port, target, method, timeout=timeout)


class Visitor:
    """A client in a thread of its own.  wrong: (time, text) of what should not be, cleared by whoever reads it."""

    def __init__(self, town, camera):
        self.town, self.camera = town, camera
        self.wrong = []
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()

    def run(self):
        raise NotImplementedError

    def complain(self, text):
        self.wrong.append((time.monotonic(), f"{self.camera.name}: {text}"))

    def stop(self):
        self.stopping.set()
        self._thread.join(60)


class Player(Visitor):
    """Watches a camera, comes back when it is cut off, and looks at each picture: the next one of the camera's loop,
    or, of a rendition, one with a later time."""

    def __init__(self, town, camera, way):
        self.way, self.frames, self.newest_at = way, 0, time.monotonic()
        self.connected = False
        super().__init__(town, camera)

    def run(self):
        while not self.stopping.is_set():
            try:
                (self.watch_websocket if "websocket" in self.way else self.watch_http)()
            except (OSError, EOFError):
                pass
            except (FlvError, AssertionError) as failure:
                self.complain(f"{self.way}: {failure}")
            if self.connected and not self.stopping.is_set():
                self.complain(f"{self.way}: cut off")
            self.connected = False
            self.stopping.wait(RETRY_S)

    def target(self):
        dialect = {"hevc": "legacy"} if self.camera.video.codec == "hevc" and not WAYS[self.way] else {}
        return stream_target(self.camera.url(), **WAYS[self.way], **dialect)

    def begin(self):
        self.connected, self.last = True, None
        return FlvReader()

    def watch_http(self):
        with connect(self.town.flv_port) as sock:
            sock.sendall(head_bytes(self.target()))
            sock.settimeout(1)
            flv, head = None, b""
            while not self.stopping.is_set():
                try:
                    chunk = sock.recv(262144)
                except socket.timeout:
                    continue
                if not chunk:
                    return
                if flv is None:
                    head += chunk
                    if b"\r\n\r\n" not in head:
                        continue
                    text, _, chunk = head.partition(b"\r\n\r\n")
                    if parse_head(text)[0] != 200:
                        return
                    flv = self.begin()
                self.take(flv, chunk)

    def watch_websocket(self):
        with WebSocket(self.town.flv_port, self.target(), timeout=30) as sock:
            if sock.status != 101:
                return
            flv = None
            while not self.stopping.is_set():
                if not sock.waits_for_data(1):
                    continue
                kind, payload = sock.frame()
                if kind == CLOSE:
                    return
                if kind == BINARY:
                    flv = flv or self.begin()
                    self.take(flv, payload)

    def take(self, flv, chunk):
        flv.feed(chunk)
        for frame in flv.video:
            self.judge(frame)
        flv.video.clear()
        flv.audio.clear()
        del flv.order[3:]

    def judge(self, frame):
        rendition = self.way.startswith("h264") and self.camera.video.codec == "hevc"
        here = frame.dts if rendition else self.camera.place.get(frame.pictures()[0])
        if rendition and self.last is not None and not 0 < here - self.last <= STEP_MAX_MS:
            self.complain(f"{self.way}: a picture at {here} ms after one at {self.last} ms")
        elif not rendition and here is None:
            self.complain(f"{self.way}: a picture that the camera did not send")
        elif not rendition and self.last is not None and here != (self.last + 1) % len(self.camera.place):
            self.complain(f"{self.way}: picture {here} after {self.last}")
        self.last = here
        self.frames += 1
        self.newest_at = time.monotonic()


class Poller(Visitor):
    """Asks for snapshots of its camera, for the API and the metrics, over and over."""
    asked = 0

    def run(self):
        while not self.stopping.wait(0.5):
            for target, begins in ((stream_target(self.camera.url(), path="/snapshot"), b"\xff\xd8\xff"),
                                   ("/api/streams", b'{"time":"'), ("/metrics", b"# HELP"), ("/healthz", b"ok")):
                self.ask(target, begins)

    def ask(self, target, begins):
        try:
            answer = self.town.request(target)
        except (OSError, AssertionError) as failure:
            self.complain(f"{target}: {failure!r}")
            return
        if answer.status == 503 and target == "/healthz" and time.monotonic() < self.town.unwell_until:
            return
        if answer.status != 200 or not answer.body.startswith(begins):
            self.complain(f"{target}: {answer.status} {answer.body[:200]!r}")
        self.asked += 1


def everybody_plays(players, seconds=60):
    """Until each player has got pictures after now."""
    now = time.monotonic()
    wait_for(lambda: all(p.connected and p.newest_at > now for p in players), seconds,
             lambda: "pictures of " + ", ".join(f"{p.camera.name} by {p.way}" for p in players
                                                if not (p.connected and p.newest_at > now)))
