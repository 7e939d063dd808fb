#!/usr/bin/python3
"""make bench: RTSP: added delay, time and round trips to the first picture, lossy networks, what a camera costs.
Tables on stdout and in build/bench/.

The reference of delay and handshake is libavformat's own RTSP client on the same camera in the same run.
`--only loss` (root; not part of make bench) needs a network namespace; `--only rows` (not part either) runs all 48
RTSP rows of the sample cameras over TCP and over UDP.
"""
import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import selectors
import statistics
import subprocess
import tempfile
import time

from measure import ROOT, enter_own_network, lose_udp, quantile, table, write  # first: it leads to lib
from light_cameras import LightCameras
from light_flv import LightFlv
from stamping import Stamping

from lib import processes
from lib.cameras import SampleCameras
from lib.fake_rtsp import FPS, media
from lib.gateway import Gateway, build_dir
from lib.http import connect, head_bytes, request, stream_target
from lib.scripted_rtsp import Script, ScriptedCamera
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

FLV_KINDS = {"rtmp": 4096, "rtmp-128": 128, "http-flv": 4096}  # the RTMP chunk size that the server sets


@contextlib.contextmanager
def idle_cameras(count, kind):
    """-> their URLs, and the port of all of them."""
    if kind not in FLV_KINDS:
        with SampleCameras(sizes=("720p",)) as cameras:
            yield [cameras.rtsp_url(ROW, number=i) for i in range(count)], cameras.rtsp_port
        return
    with LightFlv("1280x720", "2M", FLV_KINDS[kind]) as cameras:
        http = kind == "http-flv"
        url = cameras.http_url if http else cameras.rtmp_url
        yield [url(i) for i in range(count)], cameras.http_port if http else cameras.rtmp_port


def bare_udp_loop(count, seconds):
    """What as many datagrams cost a process that only reads them: core for each camera.  None: make bench builds it."""
    program = os.path.join(build_dir(), "bench", "udp-limit")
    if not os.path.exists(program):
        return None
    done = subprocess.run([program, str(count), str(round(seconds))], check=True, stdout=subprocess.PIPE, timeout=seconds + 60)
    return float(done.stdout)


def bench_cameras(directory, count, seconds, kind):
    """So many cameras, each with a worker, nobody watching."""
    kind_line = "" if kind in FLV_KINDS else f"type = {kind}\n"  # the URL says it
    with idle_cameras(count, kind) as (urls, port):
        config = "".join(f'[camera "c{i}"]\nurl = {url}\n{kind_line}always_on = yes\n' for i, url in enumerate(urls))
        with Gateway(directory, config, log_level="info") as gateway:
            wait_for(lambda: streaming(gateway) == count, 120, "all cameras to play")
            time.sleep(5)  # two GOPs: the rings hold what they will
            workers = gateway.worker_of(port)
            assert len(workers) == count, f"{len(workers)} workers"
            others = [gateway.pid, gateway.nursery()]
            begun = time.monotonic()
            cpu = [sum(map(processes.run_seconds, pids)) for pids in (workers, others)]
            wakes = sum(map(processes.wake_ups, workers))
            time.sleep(seconds)
            passed = time.monotonic() - begun
            cores = [(sum(map(processes.run_seconds, pids)) - before) / passed
                     for pids, before in zip((workers, others), cpu)]
            result = {"cameras": count, "type": kind, "cores": cores[0] / count, "others_cores": cores[1],
                      "wake_ups": (sum(map(processes.wake_ups, workers)) - wakes) / passed / count,
                      "private_mb": statistics.mean(map(processes.private_bytes, workers)) / 1e6,
                      "pss_mb": statistics.mean(map(processes.pss_bytes, workers)) / 1e6}
    result["limit"] = bare_udp_loop(count, seconds) if kind == "rtsp-udp" else None
    return result


def streaming(gateway):
    streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    return sum(stream["state"] == "streaming" for stream in streams)


def cameras_text(r):
    return "\n".join([f"## {r['cameras']} cameras ({ROW}, 2 Mbit/s, {r['type']}), no viewer", "", table(
        ("per camera", ""), [("core", f"{r['cores']:.5f}"), ("wake-ups a second", f"{r['wake_ups']:.1f}"),
                             ("private memory, MB", f"{r['private_mb']:.1f}"),
                             ("PSS, MB", f"{r['pss_mb']:.1f}"),
                             *([("core of a bare recvmmsg loop", f"{r['limit']:.5f}")] if r["limit"] else [])]), "",
        f"Master and nursery: {r['others_cores']:.4f} core."])


# --- a wall that comes back after a power cut --------------------------------------------------------

WALL_CONFIG = "[server]\nmax_cameras = 1000\nclient_share = 100\n"


def ask_for_all(gateway, urls, timeout=120):
    """One viewer for each URL, all at the same moment; answers are read as they come.
    -> ms until the first bytes of each, the open sockets, and how many were refused."""
    selector, times, sockets, refused = selectors.DefaultSelector(), [], [], 0
    heads = [head_bytes(stream_target(url, join="key")) for url in urls]
    begun = time.monotonic()
    for head in heads:
        sock = connect(gateway.flv_port)
        sock.sendall(head)
        sockets.append(sock)
        selector.register(sock, selectors.EVENT_READ)
    while len(times) + refused < len(urls) and time.monotonic() - begun < timeout:
        for key, _ in selector.select(1):
            if key.fileobj.recv(64).startswith(b"HTTP/1.1 200 "):
                times.append((time.monotonic() - begun) * 1000)
            else:
                refused += 1
            selector.unregister(key.fileobj)
    return times, sockets, len(urls) - len(times)


def drain(sockets, ended):
    """Read what comes to these viewers until `ended`, in a process that does nothing else."""
    selector = selectors.DefaultSelector()
    for sock in sockets:
        selector.register(sock, selectors.EVENT_READ)
    while not ended.is_set():
        time.sleep(0.02)
        for key, _ in selector.select(0.5):
            key.fileobj.recv(1 << 20)


def bench_wall(directory, count, seconds):
    """So many cameras, asked for in the same moment; gateway and cameras have one core each."""
    os.sched_setaffinity(0, {0})
    with LightCameras("1280x720", "2M") as cameras:
        urls = [cameras.rtsp_url(i) for i in range(count)]
        with Gateway(directory, WALL_CONFIG, log_level="info", prefix=("taskset", "-c", "1")) as gateway:
            wait_for(lambda: len(gateway.all_workers()) == 2, 30, "two spare workers")
            time.sleep(1)
            times, sockets, failed = ask_for_all(gateway, urls)
            pids = [gateway.pid, gateway.nursery(), *gateway.worker_of(cameras.rtsp_port)]
            spent = sum(map(processes.run_seconds, pids))
            ended = multiprocessing.Event()
            reader = multiprocessing.Process(target=drain, args=(sockets, ended), daemon=True)
            reader.start()
            time.sleep(5)
            begun, cpu = time.monotonic(), sum(map(processes.cpu_seconds, pids))
            time.sleep(seconds)
            cores = (sum(map(processes.cpu_seconds, pids)) - cpu) / (time.monotonic() - begun)
            memory = sum(map(processes.pss_bytes, pids))
            ended.set()
            reader.join()
            for sock in sockets:
                sock.close()
    return {"cameras": count, "median_ms": statistics.median(times), "p90_ms": quantile(times, 0.9),
            "worst_ms": max(times), "failed": failed, "spent_s": spent, "cores": cores, "memory_mb": memory / 1e6}


def wall_text(r):
    return "\n".join([f"## {r['cameras']} cameras (720p, H.264 and AAC) asked for at once, one core", "", table(
        ("first bytes, median ms", "p90 ms", "worst ms", "failed", "processor time by then, s",
         "then, with a viewer each: cores", "memory, MB"),
        [(f"{r['median_ms']:.0f}", f"{r['p90_ms']:.0f}", f"{r['worst_ms']:.0f}", r["failed"], f"{r['spent_s']:.2f}",
          f"{r['cores']:.2f}", f"{r['memory_mb']:.0f}")])])


# --- networks that lose and reorder ---------------------------------------------------------------

class RealTime(Script):
    speed = 1


class Reordering(RealTime):
    """One packet in ten overtakes the one to three before it."""

    def datagrams(self, session, track, packets):
        dice = session.__dict__.setdefault("dice", random.Random(7))
        packets = list(packets)
        for at in range(len(packets)):
            if dice.random() < 0.1:
                packets.insert(max(0, at - dice.randint(1, 3)), packets.pop(at))
        return packets


def count_frames(viewer, script):
    """What a viewer got of what was sent, by the frames' times."""
    frames = viewer.flv.video
    sent = round((frames[-1].dts - frames[0].dts) * FPS / 1000) + 1
    known = set(script.video.slices())
    whole = sum(all(picture in known for picture in frame.pictures()) for frame in frames)
    return {"sent": sent, "whole": whole, "cut": len(frames) - whole, "missing": sent - len(frames)}


def metric(gateway, name):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return int(re.search(rf"^cam_httpflv_{name} (\d+)$", text, re.M).group(1))


def measure_loss(directory, script, percent, seconds, count, **parameters):
    lose_udp(0)
    scripts = [script(video(("h264", "hevc")[i % 2])) for i in range(count)]
    cameras = [ScriptedCamera(s) for s in scripts]
    viewers = []
    with contextlib.ExitStack() as stack, Gateway(directory, CONFIG, log_level="info") as gateway:
        for camera in cameras:
            stack.enter_context(camera)
            viewers.append(gateway.view(camera.url(), join="key", **parameters))
        for viewer in viewers:
            viewer.wait_frames(FPS)
        lose_udp(percent)
        for viewer in viewers:
            viewer.wait(lambda v: v.flv.video[-1].dts > (seconds + 1) * 1000, seconds + 60, "the end")
        lose_udp(0)
        time.sleep(2.5)  # workers report once a second
        lost, damaged = metric(gateway, "lost_packets_total"), metric(gateway, "damaged_frames_total")
        for viewer in viewers:
            viewer.close()
    found = [count_frames(viewer, s) for viewer, s in zip(viewers, scripts)]
    return {**{key: sum(f[key] for f in found) for key in found[0]}, "lost_packets": lost, "damaged": damaged}


def bench_loss(directory, seconds, count=4):
    tcp, udp = {"cam_type": "rtsp-tcp"}, {"cam_type": "rtsp-udp"}
    cases = [("TCP", RealTime, 0, tcp), ("UDP", RealTime, 0, udp), ("UDP, 1 % lost", RealTime, 1, udp),
             ("UDP, 5 % lost", RealTime, 5, udp), ("UDP, 10 % out of order", Reordering, 0, udp),
             ("UDP, 10 % out of order, 1 % lost", Reordering, 1, udp)]
    return {name: measure_loss(directory, script, percent, seconds, count, **parameters)
            for name, script, percent, parameters in cases}


def loss_text(r):
    return "\n".join(["## Frames over a network that loses and reorders (720p, 2 Mbit/s, H.264 and HEVC)", "", table(
        ("", "frames sent", "delivered whole", "delivered cut", "not delivered", "RTP packets lost",
         "marked as damaged"),
        [(name, v["sent"], v["whole"], v["cut"], v["missing"], v["lost_packets"], v["damaged"])
         for name, v in r.items()]), "",
        "Marked as damaged: with a lost packet, or after such a frame up to the next key frame (one every "
        f"{KEY_FRAMES_S} s). Viewers get these too, snapshots are not made of them."])


# --- all rows -------------------------------------------------------------------------------------

def bench_rows():
    """test_sample_cameras with every RTSP row over TCP, then over UDP."""
    for transport in ("rtsp-tcp", "rtsp-udp"):
        subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-k", transport, "test/e2e/test_sample_cameras.py"],
                       cwd=ROOT, env={**os.environ, "SAMPLE_ROWS_TRANSPORT": transport}, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("delay", "handshake", "cameras", "wall", "loss", "rows"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--viewers", default="1,100")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--type", default="rtsp-tcp", 
                        help="cameras: rtsp-tcp, rtsp-udp, rtmp, rtmp-128 (chunks of 128 bytes), http-flv")
    parser.add_argument("--wall", type=int, default=256, help="wall: so many cameras")
    options = parser.parse_args()
    if options.only == "rows":
        bench_rows()
        return
    with tempfile.TemporaryDirectory() as directory:
        if options.only == "loss":
            enter_own_network()
            result = bench_loss(directory, options.seconds)
            write("rtsp-loss", result, loss_text(result))
            return
        counts = [int(n) for n in options.viewers.split(",")]
        parts = {"delay": (lambda: bench_delay(directory, options.seconds, counts), delay_text),
                 "handshake": (lambda: bench_handshake(directory, options.starts), handshake_text),
                 "cameras": (lambda: bench_cameras(directory, options.cameras, options.seconds, options.type),
                             cameras_text),
                 "wall": (lambda: bench_wall(directory, options.wall, options.seconds), wall_text)}
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure()
                write("rtsp-" + name, result, text(result))


if __name__ == "__main__":
    main()
