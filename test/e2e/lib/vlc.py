"""VLC without a display, asked for its statistics."""
import os
import re
import shutil
import subprocess
import tempfile
import threading

from . import processes
from .wait import wait_for


class Vlc:
    """cvlc playing one address into nothing.  VLC refuses to run as root: then it runs as nobody."""

    def __init__(self, url):
        self.home = tempfile.TemporaryDirectory(prefix="vlc-")
        as_nobody = {}
        if os.geteuid() == 0:
            as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.home.name, "nobody", "nogroup")
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
