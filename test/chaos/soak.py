#!/usr/bin/python3
"""make soak MINUTES=n: opens and closes of everything at rate; then the slopes of memory and descriptors per process.

Four cameras stay: H.264, H.264 whose clock is 100 ppm fast, H.264 100 ppm slow, HEVC, each with a player by HTTP and
one by WebSocket.  Visitors come and go meanwhile: viewers, renditions, snapshots, MJPEG, wrong requests, cameras that
are not there.  The first fifth of the time is not judged: caches fill.  A process fails if its memory or descriptors
grow by more than noise does.  All samples are in build/soak/.
"""
import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time

from crowd import ROOT, Camera, Player, Poller, Town, connect, everybody_plays, head_bytes, stream_target
from crowd import request as ask

from lib import processes  # noqa: E402  (crowd leads to it)

# The cameras and players here may be kept waiting by a busy machine: that is not what is judged.
OPTIONS = """max_requests_per_minute = 0
client_share = 100
log_level = warn
[camera]
idle_timeout_ms = 1000
stall_timeout_ms = 30000
[viewer]
queue_max_ms = 30000
stall_timeout_ms = 60000
"""
SAMPLE_S = 5
# Growth from the second fifth of the time to the last that fails: more than both of these.
GROWTH_KB, GROWTH_KB_AN_HOUR = 1024, 512
TRANSCODING_KB = 4096  # of a worker that transcodes, instead of GROWTH_KB: codecs' heaps keep some pictures of 1.4 MB
DESCRIPTORS = 2


class Samples:
    """Memory of its own, KB, and descriptors of one process over time, seconds."""

    def __init__(self, name):
        self.name, self.rows = name, []
        self.noise_kb = TRANSCODING_KB if name == "worker of hevc" else GROWTH_KB

    def take(self, pid, now):
        self.rows.append((now, processes.anonymous_bytes(pid) / 1024, len(processes.open_files(pid))))

    def slope_an_hour(self, column):
        """Least squares over all but the first fifth."""
        rows = self.rows[len(self.rows) // 5:]
        return statistics.linear_regression([r[0] for r in rows], [r[column] for r in rows]).slope * 3600

    def growth(self, column):
        """Of what it holds when it has least to do: a busy machine keeps more visitors at a time, a leak stays."""
        fifth = max(1, len(self.rows) // 5)
        return self.least(self.rows[-fifth:], column) - self.least(self.rows[fifth:2 * fifth], column)

    @staticmethod
    def least(rows, column):
        return sorted(r[column] for r in rows)[len(rows) // 10]

    def write(self, folder):
        with open(os.path.join(folder, f"{self.name.replace(' ', '-')}.csv"), "w", encoding="ascii") as file:
            file.write("seconds,own_kb,descriptors\n")
            file.writelines(f"{t:.0f},{memory:.0f},{descriptors}\n" for t, memory, descriptors in self.rows)

    def verdict(self, hours):
        memory, descriptors = self.growth(1), self.growth(2)
        good = memory <= max(self.noise_kb, GROWTH_KB_AN_HOUR * hours) and descriptors <= DESCRIPTORS
        return good, (f"| {self.name} | {self.rows[-1][1]:.0f} | {memory:+.0f} | {self.slope_an_hour(1):+.0f} | "
                      f"{self.rows[-1][2]} | {descriptors:+.1f} | {self.slope_an_hour(2):+.1f} |")


class Soak:
    def __init__(self, directory):
        self.cameras = [Camera("plain"), Camera("fast"), Camera("slow"), Camera("hevc", "hevc")]
        for camera, ppm in ((self.cameras[1], 100), (self.cameras[2], -100)):
            camera.stamp = lambda track, seconds, ticks, ppm=ppm: round(ticks * (1 + ppm * 1e-6))
        self.passing = [Camera("passing"), Camera("passing-hevc", "hevc")]
        self.town = Town(directory, self.cameras, OPTIONS)
        self.town.start()
        self.players = [Player(self.town, camera, way) for camera in self.cameras for way in ("http", "websocket")]
        everybody_plays(self.players)
        self.pollers = [Poller(self.town, camera) for camera in self.cameras]
        self.samples, self.rounds, self.failure = {}, 0, None
        self.stopping = threading.Event()
        self.visits = threading.Thread(target=self.visit, daemon=True)
        self.visits.start()

    def visit(self):
        """Round after round of visitors; each round opens and closes everything once."""
        try:
            while not self.stopping.is_set():
                self.visit_once()
                self.rounds += 1
        except Exception as failure:  # reported by run()
            self.failure = failure

    def visit_once(self):
        gateway = self.town.gateway
        with contextlib.ExitStack() as stack:
            viewers = [stack.enter_context(gateway.view(c.url())) for c in self.cameras[:3] for _ in range(3)]
            viewers += [stack.enter_context(gateway.view(c.url(), allow_h265="false"))
                        for c in (self.cameras[3], *self.passing)]
            for viewer in viewers:
                viewer.wait_frames(3)
            sock = stack.enter_context(connect(self.town.snapshot_port))
            sock.sendall(head_bytes(stream_target(self.cameras[0].url(), path="/mjpeg")))
            assert sock.recv(65536)
            for camera in (*self.cameras, *self.passing):
                answer = ask(self.town.snapshot_port, stream_target(camera.url(), path="/snapshot"))
                assert answer.status == 200, answer.body
        assert ask(self.town.flv_port, "/?cam_url=ftp://x/").status == 400
        assert ask(self.town.flv_port, stream_target("rtsp://127.0.0.1:9/none")).status in (502, 503)

    def processes(self):
        """name -> pid, of those that stay."""
        found = {"master": self.town.gateway.pid, "nursery": self.town.gateway.nursery()}
        for camera in self.cameras:
            found[f"worker of {camera.name}"], = self.town.gateway.worker_of(camera.port)
        return found

    def run(self, seconds):
        began, stay = time.monotonic(), self.processes()
        while (now := time.monotonic() - began) < seconds and self.failure is None:
            for name, pid in stay.items():
                self.samples.setdefault(name, Samples(name)).take(pid, now)
            time.sleep(SAMPLE_S)
        assert self.failure is None, self.failure
        assert self.processes() == stay, "a process did not stay"

    def wrong(self):
        return [text for visitor in self.players + self.pollers for _, text in visitor.wrong]

    def close(self):
        self.stopping.set()
        self.visits.join(60)
        for visitor in self.players + self.pollers:
            visitor.stopping.set()
        for visitor in self.players + self.pollers:
            visitor.stop()
        self.town.stop()
        for camera in (*self.cameras, *self.passing):
            camera.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        soak = Soak(directory)
        try:
            soak.run(60 * options.minutes)
        except BaseException:
            sys.stderr.write(soak.town.gateway.log()[-6000:])
            soak.town.gateway.kill()
            raise
        wrong = soak.wrong()
        soak.close()
    print(f"{options.minutes:g} minutes, {soak.rounds} rounds of visitors, "
          f"{sum(player.frames for player in soak.players)} pictures, {len(wrong)} complaints\n")
    print("| process | own KB | growth | an hour | descriptors | growth | an hour |\n"
          "| --- | --- | --- | --- | --- | --- | --- |")
    folder = os.path.join(ROOT, "build", "soak")
    os.makedirs(folder, exist_ok=True)
    for samples in soak.samples.values():
        samples.write(folder)
    verdicts = [samples.verdict(options.minutes / 60) for samples in soak.samples.values()]
    print("\n".join(text for _, text in verdicts))
    if wrong:
        sys.exit("\n".join(wrong[:20]))
    if not all(good for good, _ in verdicts):
        sys.exit("something grows")


if __name__ == "__main__":
    main()
