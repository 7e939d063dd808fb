#!/usr/bin/python3
"""How many viewers keep their connection when workers die, or when the program is replaced, and how long they wait.

  bench_handover.py --seed 1                20 deaths of a worker, by a signal and at a time drawn from the seed
  bench_handover.py --only upgrade          SIGUSR2, to a copy of this build or to --to DIRECTORY; --from DIRECTORY;
                                            and once to a program that does not start

--viewers of each of --cameras sample cameras: H.264 and AAC; HEVC and G.711; H.264 and G.711; H.264 and G.711 over RTMP.
Four of each camera, by HTTP and WebSocket, are read by the tests' strict FLV reader, of HEVC four more that take H.264;
the others by flvload: a crowd in Python would be the bottleneck.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from measure import ROOT, build_if_missing, table, write  # first: it leads to lib

from lib import processes
from lib.cameras import SampleCameras
from lib.gateway import Gateway, binary
from lib.http import Viewer, request, stream_target
from lib.wait import wait_for
from test_handover import WebSocketViewer

CONFIG = """[server]
spare_workers = 2
client_share = 100
[camera]
connect_timeout_ms = 20000
idle_timeout_ms = 60000
"""
SIGNALS = signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGSTOP
STRICT = 4  # viewers of each camera
SETTLED = 25  # pictures
FLVLOAD = os.path.join(ROOT, "build", "release", "bench", "flvload")


def cameras(samples, count):
    """-> [(name, URL, how many of the strict viewers take H.264)]"""
    rows = [("H.264, AAC", samples.rtsp_url("720p-H264-AAC"), 0),
            ("HEVC, G.711", samples.rtsp_url("720p-H265-G711A"), 4),
            ("H.264, G.711", samples.rtsp_url("720p-H264-G711U"), 0),
            ("H.264, G.711, RTMP", samples.rtmp_url("720p-H264-G711A"), 0)]
    return rows[:count]


class Crowd:
    """Viewers in a process of its own: flvload."""

    def __init__(self, port, target, count):
        self.count, self.cut = count, 0
        self._process = subprocess.Popen(
            [FLVLOAD, "-c", str(count), "-r", "0", "-t", "1000000", "-s", "1000000", "-g", "0", "-q", f"127.0.0.1:{port}{target}"],
            stdout=subprocess.PIPE, text=True)

    def judge(self):
        """-> (cut since the last time, longest waits of the crowd: median and worst in s, largest step in ms)"""
        self._process.send_signal(signal.SIGUSR1)
        line = self._process.stdout.readline()
        told = {name: float(value) for name, value in (pair.split("=") for pair in line.split()[1:])}
        assert told["errors"] == told["backward"] == told["no_key"] == 0, line
        cut = int(told["closed"]) - self.cut
        self.cut += cut
        return cut, told["wait_ms_median"] / 1000, told["wait_ms_max"] / 1000, int(told["gap_max_ms"])

    def close(self):
        self._process.terminate()
        self._process.communicate()


class Audience:
    """Viewers of one camera.  What the strict ones received is forgotten after each round, but for the last picture."""

    def __init__(self, gateway, name, url, count, without_hevc):
        self.name, self.url, self.count = name, url, count
        self.viewers = [self._view(gateway, n, n >= STRICT) for n in range(STRICT + without_hevc)]
        self.crowd = Crowd(gateway.flv_port, stream_target(url, hevc="enhanced"), count - len(self.viewers))
        self.cut = []

    def _view(self, gateway, n, without_hevc):
        more = {"allow_h265": "false"} if without_hevc else {"hevc": "enhanced"}
        target = stream_target(self.url, **more)
        if n % 2:
            return WebSocketViewer(gateway.flv_port, target=target)
        return Viewer(gateway.flv_port, target, keep_bytes=n == 0)

    def strict_here(self):
        return [v for v in self.viewers if v not in self.cut]

    def here(self):
        """How many are connected, as far as judge() knows."""
        return len(self.strict_here()) + self.crowd.count - self.crowd.cut

    def wait_more(self, count=SETTLED):
        """Until all strict ones that are still connected have so many more pictures, and nobody has just been cut."""
        wanted = {id(v): len(v.flv.video) + count for v in self.strict_here()}

        def served():
            return all(v.closed_by_server or len(v.flv.video) >= wanted[id(v)] for v in self.strict_here())
        wait_for(served, 120, lambda: f"{self.name}: {[len(v.flv.video) for v in self.strict_here()]}")

    def judge(self):
        """-> how many were cut, and what the others saw: those who get the camera's pictures, those who get transcoded ones

        A transcoder that has too little of the processor leaves pictures out.  A step back of a time stamp is an error.
        """
        cut, *as_it_is = self.crowd.judge()
        seen, transcoded, lost = Seen(*as_it_is), Seen(), []
        for n, viewer in enumerate(self.viewers):
            viewer.check()
            if viewer in self.cut:
                continue
            if viewer.closed_by_server:
                lost.append(viewer)
                continue
            (seen if n < STRICT else transcoded).add(viewer.flv)
        self.cut += lost
        return len(lost) + cut, seen, transcoded

    def complaints(self):
        """What ffmpeg says about the whole answer of the first viewer; it reads no HEVC in FLV."""
        first = self.viewers[0]
        if first in self.cut or self.name.startswith("HEVC"):
            return 0
        command = ["ffmpeg", "-v", "error", "-nostdin", "-f", "flv", "-i", "pipe:0", "-map", "0:v:0", "-fps_mode", "passthrough",
                   "-enc_time_base", "-1",  # else time stamps are judged at the frame rate
                   "-f", "rawvideo", "-y", "/dev/null"]
        result = subprocess.run(command, input=bytes(first.data), capture_output=True, timeout=300, check=False)
        lines = result.stderr.decode(errors="replace").splitlines()
        print(f"{self.name}: {len(lines)} complaints of the decoder", *lines[:5], sep="\n  ", flush=True)
        return len(lines)

    def close(self):
        self.crowd.close()
        for viewer in self.viewers:
            viewer.stop()


def largest_step(frames):
    steps = [b.dts - a.dts for a, b in zip(frames, frames[1:])]
    assert min(steps, default=0) >= 0, min(steps)
    return max(steps, default=0)


class Seen:
    """Longest waits for a picture, and the largest step of a time stamp of picture or sound."""

    def __init__(self, median_s=0, worst_s=0, step_ms=0):
        self.median_s, self.worst_s, self.step_ms = median_s, worst_s, step_ms

    def add(self, flv):
        """What has come so far; it is forgotten, but for the last picture and sound."""
        pictures = list(flv.video)
        self.worst_s = max([self.worst_s, *(b.received - a.received for a, b in zip(pictures, pictures[1:]))])
        self.step_ms = max(self.step_ms, largest_step(pictures), largest_step(list(flv.audio)))
        del flv.video[:len(pictures) - 1]
        del flv.audio[:-1], flv.order[:-1]

    def __add__(self, other):
        return Seen(max(self.median_s, other.median_s), max(self.worst_s, other.worst_s), max(self.step_ms, other.step_ms))

    def cells(self):
        return f"{self.worst_s:.2f}", self.step_ms


@contextlib.contextmanager
def scene(viewers, count, program=None):
    """-> (gateway, audiences)"""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        samples = stack.enter_context(SampleCameras(sizes=("720p",)))
        gateway = stack.enter_context(Gateway(directory, CONFIG, log_level="info", program=program,
                                              env={"ASAN_OPTIONS": "handle_segv=0:handle_abort=0"}))
        audiences = []
        stack.callback(lambda: [a.close() for a in audiences])
        for name, url, without_hevc in cameras(samples, count):
            audiences.append(Audience(gateway, name, url, viewers, without_hevc))
        for audience in audiences:
            audience.wait_more()
        yield gateway, audiences


def worker_of(gateway, audience):
    """The one whose title has the stream's ID."""
    streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    stream = next(s["id"] for s in streams if s["camera_url"] == audience.url)
    return next((pid for pid in gateway.all_workers() if processes.command_line(pid).split()[-1:] == [stream]), None)


def judge_all(audiences):
    """-> as judge() of one, the median being the worst of their medians"""
    judged = [a.judge() for a in audiences]
    return tuple(sum(part[1:], part[0]) for part in zip(*judged))


HEAD = ["gap median s", "worst s", "largest step ms", "transcoded: worst s", "largest step ms"]


def kills(seed, viewers, count, rounds):
    rng = random.Random(seed)
    rows = []
    with scene(viewers, count) as (gateway, audiences):
        judge_all(audiences)
        for n in range(rounds):
            audience, how = rng.choice(audiences), rng.choice(SIGNALS)
            time.sleep(rng.uniform(0, 1))
            worker = wait_for(lambda a=audience: worker_of(gateway, a), 30, "the worker")
            before = audience.here()
            os.kill(worker, how)
            wait_for(lambda pid=worker: not processes.alive(pid), 60, "its end")
            audience.wait_more(2 * SETTLED)
            cut, seen, transcoded = audience.judge()
            for other in audiences:
                if other is not audience:
                    assert other.judge()[0] == 0, f"{other.name}: cut by the death of another camera's worker"
            rows.append((n + 1, audience.name, how.name, before, cut, f"{seen.median_s:.2f}", *seen.cells(), *transcoded.cells()))
            print(*rows[-1], flush=True)
        broken = sum(a.complaints() for a in audiences)
    total, lost = sum(r[3] for r in rows), sum(r[4] for r in rows)
    title = (f"seed {seed}: {count} cameras, {viewers} viewers each, {rounds} deaths: {total - lost} of {total} connections kept, "
             f"{broken} complaints of the decoder")
    head = ["#", "camera", "signal", "viewers", "cut", *HEAD]
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


def upgrade(gateway, word):
    before = gateway.log().count(word)
    os.kill(gateway.pid, signal.SIGUSR2)
    wait_for(lambda: gateway.log().count(word) > before, 90, gateway.log)


def upgrades(viewers, count, rounds, old, new):
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        put(folder, old)
        with scene(viewers, count, str(folder / "cam-httpflv")) as (gateway, audiences):
            targets = ["/healthz", *[stream_target(a.url, path="/snapshot") for a in audiences]][:4]
            pollers = [Poller(gateway.snapshot_port, target) for target in targets]
            for poller in pollers:
                poller.start()
            time.sleep(5)  # the pictures' decoders are there
            judge_all(audiences)
            for n in range(rounds + 1):
                before = sum(a.here() for a in audiences)
                descriptors = len(processes.open_files(gateway.pid))
                put(folder, new)
                broken = n == rounds
                if broken:
                    (folder / "cam-httpflv").unlink()
                    (folder / "cam-httpflv").write_text("nonsense", encoding="utf-8")
                upgrade(gateway, "this program goes on" if broken else "upgrade: done")
                for audience in audiences:
                    audience.wait_more(2 * SETTLED)
                time.sleep(5)  # what is no longer needed is gone
                cut, seen, transcoded = judge_all(audiences)
                titles = [processes.command_line(pid) for pid in processes.children(gateway.pid)]
                rows.append(("broken" if broken else n + 1, before, cut, sum("nursery" in t for t in titles),
                             sum(": camera" in t for t in titles), f"{descriptors} → {len(processes.open_files(gateway.pid))}",
                             len(processes.zombies(gateway.pid)), f"{seen.median_s:.2f}", *seen.cells(), *transcoded.cells()))
                print(*rows[-1], flush=True)
            for poller in pollers:
                poller.ended = True
                poller.join()
            complaints = sum(a.complaints() for a in audiences)
    polls = "; ".join(f"{target.partition('?')[0]}: {p.answers}, {p.failures} failed, slowest {p.worst_s:.2f} s"
                      for target, p in zip(targets, pollers))
    title = (f"{count} cameras, {viewers} viewers each, {rounds} upgrades; polls of {polls}; "
             f"{complaints} complaints of the decoder")
    head = ["#", "viewers", "cut", "nurseries", "camera workers", "descriptors", "zombies", *HEAD]
    write("handover-upgrade", rows, title + "\n\n" + table(head, rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("kills", "upgrade"), default="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cameras", type=int, choices=range(1, 5), default=4)
    parser.add_argument("--viewers", type=int, default=50, help="of each camera")
    parser.add_argument("--count", type=int)
    here = os.path.dirname(binary())
    parser.add_argument("--from", dest="old", default=here)
    parser.add_argument("--to", dest="new", default=here)
    args = parser.parse_args()
    build_if_missing("flvload")
    if args.only == "kills":
        kills(args.seed, args.viewers, args.cameras, args.count or 20)
    else:
        upgrades(args.viewers, args.cameras, args.count or 3, args.old, args.new)


if __name__ == "__main__":
    main()
