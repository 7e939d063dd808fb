#!/usr/bin/python3
"""make bench: RTSP: added delay, time and round trips to the first picture, lossy networks, what a camera costs.
Tables on stdout and in build/bench/.

The reference of delay and handshake is libavformat's own RTSP client on the same camera in the same run.
`--only loss` (root; not part of make bench) needs a network namespace; `--only rows` (not part either) runs all 48
RTSP rows of the sample cameras over TCP and over UDP.
"""
import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time

from measure import (ROOT, CpuSampler, enter_own_network, lose_udp, quantile, table, write)  # first: it leads to lib
from stamping import Stamping

from lib import processes
from lib.cameras import SampleCameras
from lib.fake_rtsp import FPS, media
from lib.gateway import Gateway, build_dir
from lib.http import stream_target
from lib.scripted_rtsp import ScriptedCamera
from lib.wait import wait_for

ROW = "720p-H264-AAC"
CONFIG = "[camera]\nidle_timeout_ms = 100\n"
KEY_FRAMES_S = 2


def video(codec):
    return media(codec, size="1280x720", seconds=4, bit_rate="2M", gop=KEY_FRAMES_S * FPS)


class Locked(Stamping):
    user, password = "admin", "secret"
    login = "admin:secret@"


def run_tool(name, *arguments):
    """A program of test/bench -> {"start": [ms], "delay": [ms]}."""
    done = subprocess.run([os.path.join(build_dir(), "bench", name), *map(str, arguments)], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=300)
    result = {"start": [], "delay": []}
    for line in done.stdout.splitlines():
        what, value = line.split()
        result[what].append(int(value) / 1000)
    return result


def view(gateway, url, viewers, skip, frames):
    return run_tool("flvdelay", gateway.flv_port, stream_target(url, join="key"), viewers, skip, frames)


# --- added delay ----------------------------------------------------------------------------------

def summary(values):
    return {"median": statistics.median(values), "p99": quantile(values, 0.99), "max": max(values), "n": len(values)}


def bench_delay(directory, seconds, counts):
    """Sending of a frame to the last byte of its tag in a viewer's hands; ms."""
    result = {}
    frames, skip = seconds * FPS, 2 * FPS
    for codec in ("h264", "hevc"):
        with ScriptedCamera(Stamping(video(codec))) as camera, Gateway(directory, CONFIG, log_level="info") as gateway:
            for viewers in counts:
                found = view(gateway, camera.url(), viewers, skip, frames)
                result[f"{codec}, gateway, {viewers} viewers"] = summary(found["delay"])
            found = run_tool("avdelay", camera.url(), skip, frames)
            result[f"{codec}, libavformat's client alone"] = summary(found["delay"])
    return result


def delay_text(r):
    return "\n".join(["## Delay from the camera's sending a frame to its last byte read, 720p, 2 Mbit/s, ms", "", table(
        ("", "median", "p99", "max", "frames"),
        [(name, f"{v['median']:.2f}", f"{v['p99']:.2f}", f"{v['max']:.2f}", v["n"]) for name, v in r.items()])])


# --- handshake ------------------------------------------------------------------------------------

def bench_handshake(directory, starts):
    """By turns: GET to the first key frame tag through the gateway; libavformat's open to its first key packet."""
    result = {}
    for name, script in (("no password", Stamping), ("digest", Locked)):
        login = getattr(script, "login", "")
        times = {"gateway": [], "libavformat": []}
        asked = {}
        with ScriptedCamera(script(video("h264"))) as camera, Gateway(directory, CONFIG, log_level="info") as gateway:
            for _ in range(starts):
                wait_for(lambda: not gateway.busy_workers() and len(gateway.all_workers()) == 2, 30,
                         "two spare workers and no busy one")
                camera.requests.clear()
                times["gateway"] += view(gateway, camera.url(login=login), 1, 0, 1)["start"]
                asked["gateway"] = before_play(camera)
                wait_for(lambda: camera.asked("TEARDOWN"), 30, "the gateway to leave the camera")
                camera.requests.clear()
                times["libavformat"] += run_tool("avdelay", camera.url(login=login), 0, 1)["start"]
                asked["libavformat"] = before_play(camera)
        for client, values in times.items():
            result[f"{client}, {name}"] = {**summary(values), "min": min(values), "requests": asked[client]}
    return result


def before_play(camera):
    methods = camera.methods()
    return methods[:methods.index("PLAY") + 1]


def handshake_text(r):
    return "\n".join(["## Cold start to the first key frame, ms, and what is asked of the camera", "", table(
        ("", "median", "min", "max", "n", "requests"),
        [(name, f"{v['median']:.1f}", f"{v['min']:.1f}", f"{v['max']:.1f}", v["n"],
          f"{len(v['requests'])}: {' '.join(v['requests'])}") for name, v in r.items()])])


# --- what a camera costs --------------------------------------------------------------------------

def bench_cameras(directory, count, seconds):
    """So many cameras, each with a worker, nobody watching."""
    with SampleCameras(sizes=("720p",)) as cameras:
        config = "".join(f'[camera "c{i}"]\nurl = {cameras.rtsp_url(ROW, number=i)}\nalways_on = yes\n'
                         for i in range(count))
        with Gateway(directory, config, log_level="info") as gateway:
            wait_for(lambda: cameras.active_sessions() == count, 120, "all cameras to play")
            time.sleep(5)  # two GOPs: the rings hold what they will
            workers = gateway.worker_of(cameras.rtsp_port)
            assert len(workers) == count, f"{len(workers)} workers"
            others = [gateway.pid, gateway.nursery()]
            samplers = [CpuSampler(workers), CpuSampler(others)]
            begun = time.monotonic()
            time.sleep(seconds)
            cpu = [sampler.between(begun, time.monotonic()) for sampler in samplers]
            for sampler in samplers:
                sampler.stop()
            return {"cameras": count, "cores": cpu[0] / count, "others_cores": cpu[1],
                    "private_mb": statistics.mean(map(processes.private_bytes, workers)) / 1e6,
                    "pss_mb": statistics.mean(map(processes.pss_bytes, workers)) / 1e6}


def cameras_text(r):
    return "\n".join([f"## {r['cameras']} cameras ({ROW}, 2 Mbit/s), no viewer", "", table(
        ("per camera", ""), [("core", f"{r['cores']:.4f}"), ("private memory, MB", f"{r['private_mb']:.1f}"),
                             ("PSS, MB", f"{r['pss_mb']:.1f}")]), "",
        f"Master and nursery: {r['others_cores']:.4f} core."])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("delay", "handshake", "cameras", "loss", "rows"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--viewers", default="1,100")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        counts = [int(n) for n in options.viewers.split(",")]
        parts = {"delay": (lambda: bench_delay(directory, options.seconds, counts), delay_text),
                 "handshake": (lambda: bench_handshake(directory, options.starts), handshake_text),
                 "cameras": (lambda: bench_cameras(directory, options.cameras, options.seconds), cameras_text)}
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure()
                write("rtsp-" + name, result, text(result))


if __name__ == "__main__":
    main()
