#!/usr/bin/python3
"""make bench: many viewers of one camera: CPU, memory, delay of frames, joins.  Tables on stdout and in build/bench/.

The server has core 0 to itself, camera and viewers share core 1.  CPU and delay are compared with the bare loop of
fanout-limit, one send per viewer and frame, in the same run.
"""
import argparse
import contextlib
import os
import re
import statistics
import subprocess
import tempfile
import time

from measure import QUICK_IDLE, CpuSampler, table, write  # first: it leads to lib
from stamping import Stamping

from lib import processes
from lib.cameras import SampleCameras
from lib.fake_rtsp import FPS, FakeCamera, media
from lib.ffmpeg import decode_video
from lib.gateway import Gateway, build_dir, free_port, remote_ports
from lib.http import SlowReader, connect, head_bytes, stream_target
from lib.scripted_rtsp import ScriptedCamera
from lib.wait import wait_for

# More would be limited by the machine's memory bandwidth, whatever the server does: 12 Gbit/s through loopback.
SMALL_ROW, ROW, SMALL_ROW_FROM = "720p-H264-AAC", "1080p-H264-AAC", 2000
SERVER = "taskset", "-c", "0"
CLIENTS = "taskset", "-c", "1", "nice", "-n", "19"  # the camera is there too, and must not be late
SETTLE_S = 5  # viewers who join get the whole GOP first; that is not the steady state


def row_of(viewers):
    return SMALL_ROW if viewers >= SMALL_ROW_FROM else ROW


class Load:
    """flvload in the background; result() is its key=value summary."""

    def __init__(self, url, viewers, *arguments):
        command = [*CLIENTS, os.path.join(build_dir(), "bench", "flvload"), "-c", str(viewers), "-s", str(SETTLE_S),
                   "-q", *map(str, arguments), url]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self.process)

    def result(self, timeout=300):
        output = self.process.communicate(timeout=timeout)[0]
        line = next(x for x in output.splitlines() if x.startswith("KV "))
        return {k: float(v) for k, v in (pair.split("=") for pair in line.split()[1:])}


def trouble(summary):
    return int(sum(summary[name] for name in ("errors", "closed", "gaps", "backward", "no_key")))


@contextlib.contextmanager
def running(camera_url, camera_port, directory, frames=60):
    """A gateway on its core that shows a camera to one viewer -> (gateway, worker, URL for more viewers)."""
    with Gateway(directory, QUICK_IDLE, log_level="warn", prefix=SERVER) as gateway:
        with gateway.view(camera_url) as viewer:
            viewer.wait_frames(frames)
            yield gateway, gateway.worker_of(camera_port)[0], gateway.url(camera_url)


# --- CPU and memory -------------------------------------------------------------------------------

def stream_shape(url, directory):
    """Average tag sizes of the stream, for the bare loop to send the same."""
    with Gateway(directory, QUICK_IDLE, log_level="warn") as gateway:
        with gateway.view(url) as viewer:
            viewer.wait_frames(101)
        flv = viewer.flv
    span = (flv.video[-1].dts - flv.video[0].dts) / 1000

    def mean_bytes(frames, header):
        return round(statistics.mean(len(f.data) + header for f in frames))
    return {"video_bytes": mean_bytes([f for f in flv.video if not f.key], 5),
            "key_bytes": mean_bytes([f for f in flv.video if f.key], 5),
            "audio_bytes": mean_bytes(flv.audio, 2) if flv.audio else 2,
            "audio_per_second": max(1, len(flv.audio) / span)}


def listening(port):
    with open("/proc/net/tcp", encoding="ascii") as file:
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in file.readlines()[1:])


def load_steadily(url, viewers, seconds):
    # -w 30: reading costs core 1 little then, and the server nothing.
    return Load(url, viewers, "-r", 400, "-t", seconds + SETTLE_S, "-w", 30)


def bench_bare(viewers, seconds, shape, load_up=load_steadily):
    """load_up: as load_steadily()."""
    port = free_port()
    server = subprocess.Popen([*SERVER, os.path.join(build_dir(), "bench", "fanout-limit"), str(port), str(viewers),
                               str(seconds + SETTLE_S), "frame", str(shape["video_bytes"]), str(shape["key_bytes"]),
                               f"{shape['audio_per_second']:.2f}", str(shape["audio_bytes"])],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: listening(port), 10, "the bare loop to listen", interval=0.01)
        with load_up(f"http://127.0.0.1:{port}/", viewers, seconds + SETTLE_S) as load:  # until the server ends
            output = server.communicate(timeout=seconds + SETTLE_S + 60)[0]
            summary = load.result()
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    values = dict(pair.split("=") for pair in output.split())
    return {**summary, "cpu": float(values["cpu"]), "mbps": float(values["mbps"]), "trouble": int(values["fails"])}


def kernel_bytes_per_socket(port):
    """Median of the buffers that the kernel holds for a connection at the server's end, bytes."""
    lines = subprocess.run(["ss", "-tmnH", "state", "established", f"sport = :{port}"], stdout=subprocess.PIPE,
                           check=True, text=True).stdout
    sizes = [sum(map(int, m)) for m in re.findall(r"skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+),o(\d+)", lines)]
    return statistics.median(sizes)


def bench_gateway(cameras, directory, viewers, seconds):
    url = cameras.rtsp_url(row_of(viewers))
    with running(url, cameras.rtsp_port, directory, 120) as (gateway, worker, target):
        alone = processes.private_bytes(worker)
        sampler = CpuSampler([gateway.pid, worker])
        with load_steadily(target, viewers, seconds) as load:
            time.sleep(viewers / 400 + SETTLE_S + seconds / 2)
            private, kernel = processes.private_bytes(worker), kernel_bytes_per_socket(gateway.flv_port)
            summary = load.result()
            steady_end = time.monotonic()
        cpu = sampler.between(steady_end - summary["steady_s"], steady_end - 0.5)
        sampler.stop()
    return {"cpu": cpu, "mbps": summary["mbps"], "trouble": trouble(summary), "private_bytes": private,
            "bytes_per_viewer": (private - alone) / viewers, "kernel_bytes_per_viewer": kernel}


def bench_fanout(cameras, directory, counts, seconds):
    shapes = {row: stream_shape(cameras.rtsp_url(row), directory) for row in {row_of(n) for n in counts}}
    rows = []
    for viewers in counts:
        row = {"viewers": viewers, "row": row_of(viewers), "shape": shapes[row_of(viewers)]}
        row["bare"] = bench_bare(viewers, seconds, row["shape"])
        row["gateway"] = bench_gateway(cameras, directory, viewers, seconds)
        bare, ours = row["bare"], row["gateway"]
        row["ratio"] = (ours["cpu"] / ours["mbps"]) / (bare["cpu"] / bare["mbps"])
        rows.append(row)
    return rows


def fanout_text(rows):
    def kib(count):
        return f"{count / 1024:.2f}"
    return "\n".join([
        "## Fan-out of one camera, server on one core", "",
        table(("viewers", "camera", "bare loop, cores", "gateway, cores", "ratio per bit", "gateway, Mbit/s",
               "worker, private MB", "of it per viewer, KiB", "kernel's buffers per viewer, KiB",
               "errors, cuts, gaps"),
              [(r["viewers"], r["row"], f"{r['bare']['cpu']:.3f}", f"{g['cpu']:.3f}", f"{r['ratio']:.2f}",
                f"{g['mbps']:.0f}", f"{g['private_bytes'] / 1e6:.1f}", kib(g["bytes_per_viewer"]),
                kib(g["kernel_bytes_per_viewer"]), r["bare"]["trouble"] + g["trouble"])
               for r, g in ((r, r["gateway"]) for r in rows)])])


# --- delay ----------------------------------------------------------------------------------------

def stamping_cameras(viewers):
    """What its frames are like -> a camera."""
    small = viewers >= SMALL_ROW_FROM
    size, mbit = ("1280x720", 2) if small else ("1920x1080", 4)
    for name, frame_bytes in (("even frames", mbit * 1000000 // 8 // FPS), ("big key frames", None)):
        yield name, ScriptedCamera(Stamping(media("h264", size=size, bit_rate=f"{mbit}M", gop=2 * FPS,
                                                  frame_bytes=frame_bytes)))


def load_between_frames(url, viewers, seconds):
    # The kernel says when a frame came.  -w 20: it is read when all have theirs.  Else each send would wake the reader
    # on the other core, which costs the server a fifth of its time and is no business of viewers elsewhere.
    return Load(url, viewers, "-r", 400, "-t", seconds + SETTLE_S, "-w", 20)


def bench_delay(_cameras, directory, counts, seconds):
    """From the moment the camera begins to send a picture until the kernel has its last byte for a viewer."""
    rows = []
    for viewers in counts:
        for name, stamping in stamping_cameras(viewers):
            with stamping as camera:
                shape = stream_shape(camera.url(), directory)
                with running(camera.url(), camera.port, directory) as (_, _, target), \
                        load_between_frames(target, viewers, seconds) as load:
                    ours = load.result()
            bare = bench_bare(viewers, seconds, shape, load_between_frames)
            rows.append({"viewers": viewers, "camera": name, "shape": shape, "gateway": ours, "bare": bare})
    return rows


def delay_text(rows):
    def cells(row, who, troubles):
        return (row["viewers"], row["camera"], round(row["shape"]["key_bytes"] / 1000), who,
                *(f"{row[who][f'frame_{q}_ms']:.1f}" for q in ("p50", "p99", "p999", "max")), troubles)
    return "\n".join([
        "## Delay of a picture: the camera begins to send it, until a viewer's kernel has its last byte", "",
        table(("viewers", "camera", "key frame, kB", "", "median ms", "p99 ms", "p99.9 ms", "worst ms",
               "errors, cuts, gaps"),
              [c for r in rows for c in (cells(r, "gateway", trouble(r["gateway"])),
                                         cells(r, "bare", r["bare"]["trouble"]))])])


# --- joins ----------------------------------------------------------------------------------------

def bench_joins(cameras, directory, joins):
    """On a running camera, from connect() on: so many viewers at once, and one after the other."""
    url = cameras.rtsp_url(SMALL_ROW)
    result = {"joins": joins}
    for name, arguments in (("at once", ("-r", 0, "-t", 3)), ("one by one", ("-1",))):
        with running(url, cameras.rtsp_port, directory) as (_, _, target), Load(target, joins, *arguments) as load:
            result[name] = load.result()
    return result


def joins_text(r):
    rows = [(f"{r['joins']} {name}, {what}", *(f"{r[name][key + '_' + q]:.2f}" for q in ("median", "p99", "max")))
            for name in ("at once", "one by one")
            for what, key in (("first byte", "first_byte_ms"), ("first key frame", "first_key_ms"))]
    return "\n".join([f"## Joins of a running camera ({SMALL_ROW}), from connect() on", "",
                      table(("", "median ms", "p99 ms", "worst ms"), rows)])


# --- slow viewers ---------------------------------------------------------------------------------

def bench_slow(_cameras, directory, seconds):
    """A hundred viewers as usual, one at a tenth of the bit rate, one that stops reading."""
    video = media("h264", size="1280x720", bit_rate="4M", gop=50)
    with FakeCamera(video) as camera, running(camera.url(), camera.port, directory) as (gateway, worker, url), \
            connect(gateway.flv_port) as stuck, \
            SlowReader(gateway.flv_port, stream_target(camera.url()), 50000) as slow, \
            Load(url, 100, "-r", 400, "-t", seconds, "-w", 30) as load:
        stuck.sendall(head_bytes(stream_target(camera.url())))
        memory, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            count = len(slow.flv.video)
            slow.read_until(lambda flv: len(flv.video) >= count + 5, 60)
            memory.append(processes.private_bytes(worker))
        left = stuck.getsockname()[1] not in remote_ports(worker)
        others = load.result()
    pictures = decode_video("h264", slow.flv.annex_b(), 64, 36)  # fails when anything is missing
    return {"others": others, "memory_mb": max(memory) / 1e6, "stuck_left": left, "slow_pictures": len(pictures),
            "slow_share": len(slow.flv.video) / (seconds * 25), "seconds": seconds}


def slow_text(r):
    return "\n".join([
        f"## 100 viewers, one at 10 % of the bit rate and one that stops reading, {r['seconds']} s", "",
        table(("", ""), [
            ("the hundred: errors, cuts, gaps", trouble(r["others"])),
            ("the slow one: pictures, all decoded without a complaint", r["slow_pictures"]),
            ("the slow one: share of the camera's pictures", f"{r['slow_share']:.2f}"),
            ("the one that stops: disconnected", "yes" if r["stuck_left"] else "not yet"),
            ("worker, most private MB", f"{r['memory_mb']:.1f}")])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("fanout", "delay", "joins", "slow"))
    parser.add_argument("--seconds", type=int, default=10, help="of the steady state, for each row")
    parser.add_argument("--viewers", default="100,1000,3000")
    parser.add_argument("--joins", type=int, default=1000)
    options = parser.parse_args()
    counts = [int(n) for n in options.viewers.split(",")]
    parts = {"fanout": (lambda c, d: bench_fanout(c, d, counts, options.seconds), fanout_text),
             "delay": (lambda c, d: bench_delay(c, d, counts, options.seconds), delay_text),
             "joins": (lambda c, d: bench_joins(c, d, options.joins), joins_text),
             "slow": (lambda c, d: bench_slow(c, d, 25), slow_text)}
    with tempfile.TemporaryDirectory() as directory, SampleCameras(sizes=("720p", "1080p")) as cameras:
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure(cameras, directory)
                write("viewers-" + name, result, text(result))


if __name__ == "__main__":
    main()
