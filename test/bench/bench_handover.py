#!/usr/bin/python3
"""How many viewers keep their connection when workers die, or when the program is replaced, and how long they wait.

  bench_handover.py --seed 1                20 deaths of a worker, by a signal and at a time drawn from the seed
  bench_handover.py --only upgrade          SIGUSR2, to a copy of this build or to --to DIRECTORY; --from DIRECTORY

Viewers by HTTP and WebSocket; cameras with H.264 and G.711, HEVC and G.711 (four of its viewers take H.264), H.264 and AAC.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from measure import table, write  # first: it leads to lib

from lib import processes
from lib.cameras import SampleCameras
from lib.fake_rtsp import FakeCamera, media
from lib.gateway import Gateway, binary
from lib.http import Viewer, request, stream_target
from lib.wait import wait_for
from test_handover import WebSocketViewer

CONFIG = """[server]
spare_workers = 2
[camera]
connect_timeout_ms = 20000
idle_timeout_ms = 60000
"""
SIGNALS = signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGSTOP
ROW = "720p-H264-AAC"
SETTLED = 25  # pictures


class Audience:
    """Viewers of one camera.  What they received is forgotten after each round, but for the last picture."""

    def __init__(self, gateway, name, url, count, without_hevc=0):
        self.name, self.url = name, url
        self.viewers = [self._view(gateway, n, n < without_hevc) for n in range(count)]
        self.cut, self.step_ms = [], 0

    def _view(self, gateway, n, without_hevc):
        more = {"allow_h265": "false"} if without_hevc else {"hevc": "enhanced"}
        target = stream_target(self.url, **more)
        if n % 2:
            return WebSocketViewer(gateway.flv_port, target=target)
        return Viewer(gateway.flv_port, target, keep_bytes=n == 0)

    def here(self):
        return [v for v in self.viewers if v not in self.cut]

    def wait_more(self, count=SETTLED):
        """Until all that are still connected have so many more pictures, and nobody has just been cut."""
        wanted = {id(v): len(v.flv.video) + count for v in self.here()}

        def served():
            return all(v.closed_by_server or len(v.flv.video) >= wanted[id(v)] for v in self.here())
        wait_for(served, 120, lambda: f"{self.name}: {[len(v.flv.video) for v in self.here()]}")

    def judge(self):
        """-> (how many were cut, seconds that each of the others waited for a picture at most)

        The largest step of a time stamp is in step_ms: a step back is an error, but a busy machine leaves pictures out.
        """
        gaps, lost, self.step_ms = [], [], 0
        for viewer in self.here():
            viewer.check()
            if viewer.closed_by_server:
                lost.append(viewer)
                continue
            frames = list(viewer.flv.video)
            steps = [b.dts - a.dts for a, b in zip(frames, frames[1:])]
            assert min(steps) >= 0, (self.name, min(steps))
            self.step_ms = max(self.step_ms, *steps)
            gaps.append(max(b.received - a.received for a, b in zip(frames, frames[1:])))
            del viewer.flv.video[:len(frames) - 1]
            del viewer.flv.audio[:-1], viewer.flv.order[:-1]
        self.cut += lost
        return len(lost), gaps

    def complaints(self):
        """What ffmpeg says about the whole answer of the first viewer; it reads no HEVC in FLV."""
        first = self.viewers[0]
        if first in self.cut or self.name.startswith("HEVC"):
            return 0
        command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "flv", "-i", "pipe:0", "-map", "0:v:0", "-fps_mode", "passthrough",
                   "-f", "rawvideo", "-y", "/dev/null"]  # not null: it judges time stamps at the frame rate
        result = subprocess.run(command, input=bytes(first.data), capture_output=True, timeout=300, check=False)
        lines = result.stderr.decode(errors="replace").splitlines()
        print(f"{self.name}: {len(lines)} complaints of the decoder", *lines[:5], sep="\n  ", flush=True)
        return len(lines)

    def close(self):
        for viewer in self.viewers:
            viewer.stop()


@contextlib.contextmanager
def scene(viewers, program=None):
    """-> (gateway, audiences)"""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        samples = stack.enter_context(SampleCameras(sizes=("720p",)))
        avc, hevc = FakeCamera(media()), FakeCamera(media("hevc"))
        stack.callback(avc.close)
        stack.callback(hevc.close)
        gateway = stack.enter_context(Gateway(directory, CONFIG, log_level="info", program=program,
                                              env={"ASAN_OPTIONS": "handle_segv=0:handle_abort=0"}))
        tenth = viewers // 10
        audiences = []
        stack.callback(lambda: [a.close() for a in audiences])
        for name, url, count, without in (("H.264, G.711", avc.url(), 5 * tenth, 0),
                                          ("HEVC, G.711", hevc.url(), 4 * tenth, 4),
                                          ("H.264, AAC", samples.rtsp_url(ROW), viewers - 9 * tenth, 0)):
            audiences.append(Audience(gateway, name, url, count, without))
        for audience in audiences:
            audience.wait_more()
        yield gateway, audiences


def worker_of(gateway, audience):
    """The one whose title has the stream's ID."""
    streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    stream = next(s["id"] for s in streams if s["camera_url"] == audience.url)
    return next((pid for pid in gateway.all_workers() if processes.command_line(pid).split()[-1:] == [stream]), None)


def forget_start(audiences):
    for audience in audiences:
        audience.judge()


def kills(seed, viewers, count):
    rng = random.Random(seed)
    rows = []
    with scene(viewers) as (gateway, audiences):
        forget_start(audiences)
        for n in range(count):
            audience, how = rng.choice(audiences), rng.choice(SIGNALS)
            time.sleep(rng.uniform(0, 1))
            worker = wait_for(lambda a=audience: worker_of(gateway, a), 30, "the worker")
            before = len(audience.here())
            os.kill(worker, how)
            wait_for(lambda pid=worker: not processes.alive(pid), 60, "its end")
            audience.wait_more(2 * SETTLED)
            cut, gaps = audience.judge()
            for other in audiences:
                if other is not audience:
                    assert other.judge()[0] == 0, f"{other.name}: cut by the death of another camera's worker"
            rows.append((n + 1, audience.name, how.name, before, cut, f"{statistics.median(gaps):.2f}", f"{max(gaps):.2f}",
                         audience.step_ms))
            print(*rows[-1], flush=True)
        broken = sum(a.complaints() for a in audiences)
    total, lost = sum(r[3] for r in rows), sum(r[4] for r in rows)
    title = (f"seed {seed}: {viewers} viewers, {count} deaths: {total - lost} of {total} connections kept, "
             f"{broken} complaints of the decoder")
    head = ["#", "camera", "signal", "viewers", "cut", "gap median s", "worst s", "largest step ms"]
    write("handover-kills", rows, title + "\n\n" + table(head, rows))


class Poller(threading.Thread):
    def __init__(self, port, target):
        super().__init__(daemon=True)
        self.answers, self.failures, self.worst_s = 0, 0, 0
        self._port, self._target, self.ended = port, target, False

    def run(self):
        while not self.ended:
            began = time.monotonic()
            try:
                self.failures += request(self._port, self._target, timeout=60).status != 200
            except OSError:
                self.failures += 1
            self.answers += 1
            self.worst_s = max(self.worst_s, time.monotonic() - began)
            time.sleep(0.05)


def put(folder, source):
    for name in ("cam-httpflv", "cam-httpflv-worker"):
        shutil.copy(os.path.join(source, name), folder / (name + ".new"))
        (folder / (name + ".new")).replace(folder / name)


def upgrades(viewers, count, old, new):
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        put(folder, old)
        with scene(viewers, str(folder / "cam-httpflv")) as (gateway, audiences):
            targets = ["/healthz", *[stream_target(a.url, path="/snapshot") for a in audiences]]
            pollers = [Poller(gateway.snapshot_port, target) for target in targets]
            for poller in pollers:
                poller.start()
            forget_start(audiences)
            for n in range(count):
                before = sum(len(a.here()) for a in audiences)
                descriptors = len(processes.open_files(gateway.pid))
                put(folder, new)
                os.kill(gateway.pid, signal.SIGUSR2)
                wait_for(lambda n=n: gateway.log().count("upgrade: done") == n + 1, 90, gateway.log)
                for audience in audiences:
                    audience.wait_more(2 * SETTLED)
                time.sleep(3)  # what is no longer needed is gone
                judged = [a.judge() for a in audiences]
                gaps = [gap for _, some in judged for gap in some]
                titles = [processes.command_line(pid) for pid in processes.children(gateway.pid)]
                rows.append((n + 1, before, sum(cut for cut, _ in judged), f"{statistics.median(gaps):.2f}", f"{max(gaps):.2f}",
                             sum("nursery" in t for t in titles), sum(": camera" in t for t in titles),
                             f"{descriptors} → {len(processes.open_files(gateway.pid))}", len(processes.zombies(gateway.pid)),
                             max(a.step_ms for a in audiences)))
                print(*rows[-1], flush=True)
            for poller in pollers:
                poller.ended = True
                poller.join()
            broken = sum(a.complaints() for a in audiences)
    polls = sum(p.answers for p in pollers), sum(p.failures for p in pollers), max(p.worst_s for p in pollers)
    title = (f"{viewers} viewers, {count} upgrades: {polls[0]} polls, {polls[1]} failed, the slowest {polls[2]:.2f} s; "
             f"{broken} complaints of the decoder")
    head = ["#", "viewers", "cut", "gap median s", "worst s", "nurseries", "camera workers", "descriptors", "zombies",
            "largest step ms"]
    write("handover-upgrade", rows, title + "\n\n" + table(head, rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("kills", "upgrade"), default="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--count", type=int)
    here = os.path.dirname(binary())
    parser.add_argument("--from", dest="old", default=here)
    parser.add_argument("--to", dest="new", default=here)
    args = parser.parse_args()
    if args.only == "kills":
        kills(args.seed, args.viewers, args.count or 20)
    else:
        upgrades(args.viewers, args.count or 3, args.old, args.new)


if __name__ == "__main__":
    main()
