"""VLC without a display, asked for its statistics."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

from . import processes
from .gateway import free_port
from .wait import wait_for


def home_of_nobody():
    """VLC refuses to run as root: then it runs as nobody -> (a folder of its own, arguments of Popen)."""
    home = tempfile.TemporaryDirectory(prefix="vlc-")
    if os.geteuid() != 0:
        return home, {}
    shutil.chown(home.name, "nobody", "nogroup")
    return home, {"user": "nobody", "group": "nogroup", "extra_groups": []}


class VlcServer:
    """VLC as an RTSP server that plays a file again and again: with VlcServer(path) as camera: … camera.url"""

    def __init__(self, path):
        self._home, as_nobody = home_of_nobody()
        file = shutil.copy(path, self._home.name)
        os.chmod(file, 0o644)
        self._port = free_port()
        self.url = f"rtsp://127.0.0.1:{self._port}/camera"
        self._process = subprocess.Popen(
            ["cvlc", "-I", "dummy", "-q", "--loop", "--sout-keep", "--sout",
             f"#rtp{{sdp=rtsp://127.0.0.1:{self._port}/camera}}", file],
            env={"HOME": self._home.name, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=processes.die_with_parent, **as_nobody)
        wait_for(self._describes, 30, "VLC's RTSP server")

    def _describes(self):
        assert self._process.poll() is None, "VLC ended"
        try:
            with socket.create_connection(("127.0.0.1", self._port), 5) as sock:
                sock.sendall(f"DESCRIBE {self.url} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                return b"m=video" in sock.recv(65536)
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self._process)
        self._home.cleanup()


class Vlc:
    """cvlc playing one address into nothing."""

    def __init__(self, url):
        self.home, as_nobody = home_of_nobody()
        self.output = ""
        self.process = subprocess.Popen(
            ["cvlc", "-I", "rc", "--rc-fake-tty", "--vout", "dummy", "--aout", "dummy", "--no-video-title-show",
             url], env={"HOME": self.home.name, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=processes.die_with_parent, **as_nobody)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self.process, self.thread)
        self.home.cleanup()

    def _read(self):
        while True:
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                return
            self.output += chunk.decode(errors="replace")

    def statistics(self):
        """The newest figures by name, {} before the first."""
        if self.process.poll() is None:
            self.process.stdin.write(b"stats\n")
            self.process.stdin.flush()
        last = self.output.rpartition("begin of statistical info")[2]
        return {name.strip(): int(value) for name, value in re.findall(r"\| ([a-z ]+):\s+(\d+)", last)}

    def wait_displayed(self, pictures, deadline=60):
        wait_for(lambda: self.statistics().get("frames displayed", 0) >= pictures, deadline,
                 lambda: f"VLC to display {pictures} pictures; it says:\n{self.output[-3000:]}", interval=0.5)
        return self.statistics()
