"""The sample cameras for tests: started on free ports, with their event log."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SIZES = ("720p", "1080p", "2k", "4k")
DIMENSIONS = {"720p": (1280, 720), "1080p": (1920, 1080), "2k": (2560, 1440), "4k": (3840, 2160)}
VIDEO_CODECS = ("H264", "H265")
AUDIO_CODECS = ("AAC", "G711A", "G711U", "G722", "G726", "OPUS")
RTSP_ROWS = tuple(f"{size}-{video}-{audio}" for size in SIZES for video in VIDEO_CODECS
                  for audio in AUDIO_CODECS)
RTMP_ROWS = tuple(f"{size}-H264-{audio}" for size in SIZES for audio in AUDIO_CODECS[:3])


class SampleCameras:
    """with SampleCameras(sizes=("720p",)) as cameras: cameras.rtsp_url("720p-H264-AAC") ...

    sizes: only these are encoded (when missing) and served.
    auth:  None, "basic", "digest" or "both": every RTSP URL asks for user and password.
    Loops are taken from, and written to, build/cameras or the directory $SAMPLE_LOOPS.
    """

    def __init__(self, sizes=SIZES, auth=None, user="admin", password="secret", bind="127.0.0.1",
                 rtsp_port=0, rtmp_port=0, start_timeout_s=600):
        self.sizes, self.bind = tuple(sizes), bind
        self.auth, self.user, self.password = auth, user, password
        self.rtsp_port, self.rtmp_port = rtsp_port, rtmp_port
        self.start_timeout_s = start_timeout_s
        self._folder = None
        self._process = None
        self._output = []

    # --- life ---

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="sample-cameras-")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self._folder.cleanup()

    @property
    def log_path(self):
        return os.path.join(self._folder.name, "events.log")

    def start(self):
        """Also after stop(): the same ports again, the event log goes on."""
        command = [os.path.join(ROOT, "scripts", "sample-cameras"), "--bind", self.bind,
                   "--rtsp-port", str(self.rtsp_port), "--rtmp-port", str(self.rtmp_port),
                   "--sizes", ",".join(self.sizes), "--user", self.user,
                   "--password", self.password, "--log", self.log_path, "--until-eof"]
        if self.auth:
            command += ["--auth", self.auth]
        self._output = []
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)
        ready = threading.Event()
        threading.Thread(target=self._read_output, args=(self._process, ready),
                         daemon=True).start()
        if not ready.wait(self.start_timeout_s) or "ready" not in self._output:
            self.stop()
            raise RuntimeError("the sample cameras did not start")
        for line in self._output:
            name, _, value = line.partition(" ")
            if name == "rtsp-port":
                self.rtsp_port = int(value)
            elif name == "rtmp-port":
                self.rtmp_port = int(value)

    def _read_output(self, process, ready):
        for line in process.stdout:
            self._output.append(line.strip())
            if line.strip() == "ready":
                ready.set()
        ready.set()

    def stop(self):
        if not self._process:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process = None

    # --- URLs ---

    def rtsp_url(self, row, user=None, password=None, **switches):
        """row as in RTSP_ROWS.  switches: what makes the camera misbehave, test/cameras/README.md,
        for example rtsp_url(row, audio="none", stop_after=5)."""
        query = urllib.parse.urlencode(switches)
        access = ""
        if user is not None:
            access = f"{urllib.parse.quote(user, '')}:{urllib.parse.quote(password or '', '')}@"
        return (f"rtsp://{access}{self.bind}:{self.rtsp_port}/{row}.mp4"
                f"{'?' if query else ''}{query}")

    def rtmp_url(self, row):
        return f"rtmp://{self.bind}:{self.rtmp_port}/myapp/{row}.mp4"

    # --- events of the RTSP server ---

    def events(self, event=None, row=None):
        """-> list of dicts, oldest first.  event: "connect", "disconnect" (TCP connections),
        "start", "end" (a session's PLAY and end; with id, path, transport), "error" (an answer of
        400 or more; with status, method, path)."""
        try:
            with open(self.log_path, encoding="utf-8") as f:
                rows = [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [e for e in rows if (event is None or e["event"] == event) and
                (row is None or e["path"].startswith(f"/{row}.mp4"))]

    def session_count(self, row=None):
        """How many sessions have begun to play, ever."""
        return len(self.events("start", row))

    def active_sessions(self, row=None):
        return self.session_count(row) - len(self.events("end", row))

    def wait_for_sessions(self, active, row=None, timeout_s=10):
        """Until exactly so many sessions play; raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while self.active_sessions(row) != active:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.active_sessions(row)} sessions, wanted {active}")
            time.sleep(0.05)
