"""ffplay without a display or sound card, and the statistics that it prints."""
import os
import re
import subprocess
import threading
import time
from typing import NamedTuple

from . import processes
from .wait import wait_for

LINE = re.compile(r"^\s*(-?[\d.]+|nan) (A-V|M-V|M-A):\s*(-?[\d.]+|nan) fd=\s*(\d+)")


class Sample(NamedTuple):
    at: float  # time.monotonic()
    clock_s: float  # of what is played, on the stream's time line
    behind_sound_s: float  # sound's clock minus the picture's
    dropped: int  # pictures, so far


class Ffplay:
    """with Ffplay(url) as player: player.wait_clock(5)"""

    def __init__(self, url, *options, program=("ffplay",)):
        self.samples, self.text = [], ""
        self.asked = time.monotonic()
        self.process = subprocess.Popen(
            [*program, "-hide_banner", "-stats", *options, url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env={**os.environ, "SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"},
            preexec_fn=processes.die_with_parent)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self.process, self.thread)

    def _read(self):
        line = b""
        while True:
            chunk = os.read(self.process.stderr.fileno(), 65536)
            if not chunk:
                return
            *lines, line = re.split(rb"[\r\n]+", line + chunk)
            for each in lines:
                self._take(each.decode(errors="replace"), time.monotonic())

    def _take(self, line, now):
        found = LINE.match(line)
        if found is None:
            self.text += line + "\n"
        elif "nan" not in found.groups():
            self.samples.append(Sample(now, float(found[1]), float(found[3]), int(found[4])))

    def clock(self):
        return self.samples[-1].clock_s if self.samples else 0.0

    def wait_clock(self, seconds, deadline=90):
        """Until it plays what has that time stamp."""
        def reached():
            assert self.process.poll() is None, f"ffplay has ended:\n{self.text}"
            return self.clock() >= seconds
        wait_for(reached, deadline, lambda: f"ffplay to play {seconds} s, it is at {self.clock()}:\n{self.text}")
