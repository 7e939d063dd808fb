#!/usr/bin/python3
"""make bench: snapshots: time, age, CPU, memory, cold start, effect on viewers.  Tables on stdout and in build/bench/.

`--only loss` (root; not part of make bench) asks for snapshots of cameras behind a network that loses UDP packets, in
a network namespace of its own, and compares each picture with the source picture of its counter.
"""
import argparse
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time

import numpy as np

from measure import (QUICK_IDLE, ROOT, build_if_missing, enter_own_network, lose_udp, quantile,
                     table, write)  # first: it leads to lib

from lib import picture, processes
from lib.cameras import RTMP_ROWS, RTSP_ROWS, SampleCameras
from lib.gateway import Gateway, free_port
from lib.http import connect, parse_head, stream_target
from lib.snapshot import frames_behind, counters_of_frames, read_jpegs, snapshot
from lib.wait import wait_for

ROWS = ("1080p-H264-AAC", "4k-H265-AAC")
POLLS_PER_SECOND = 5
KEEP_SECONDS = 10  # SNAPSHOT_KEEP_MS
LOSS_SECONDS = 180  # --only loss ends then, with fewer pictures if need be
PREFIX = []  # command words in front of the gateway


def poll(gateway, url, pollers, seconds, in_phase=False, **parameters):
    """Each of the pollers asks POLLS_PER_SECOND times a second, evenly spread or all at the same moments -> list of
    answers, in no order."""
    answers, lock = [], threading.Lock()
    begin = time.monotonic() + 0.2

    def run(number):
        due = begin + (0 if in_phase else number / pollers / POLLS_PER_SECOND)
        while due < begin + seconds:
            time.sleep(max(0, due - time.monotonic()))
            answer = snapshot(gateway, url, **parameters)
            with lock:
                answers.append(answer)
            due = max(due + 1 / POLLS_PER_SECOND, time.monotonic())  # no burst after a slow answer
    threads = [threading.Thread(target=run, args=(i,)) for i in range(pollers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def start_gateway(directory, config=None):
    return Gateway(directory, config, prefix=PREFIX, log_level="info")


def only_worker(gateway):
    workers = []
    wait_for(lambda: workers.extend(gateway.busy_workers()) or workers, 10, "the camera's worker")
    return workers[0]


def watch(gateway, url):
    viewer = gateway.view(url)
    viewer.wait_frames(30)
    return viewer


# --- time, age and CPU ----------------------------------------------------------------------------

def measure_polling(gateway, url, pollers, seconds, in_phase=False):
    viewer = watch(gateway, url)
    worker = only_worker(gateway)
    poll(gateway, url, min(pollers, 4), 2)  # past the first decode
    viewer.flv.video.clear()
    cpu, begun = processes.cpu_seconds(worker), time.monotonic()
    answers = poll(gateway, url, pollers, seconds, in_phase)
    took, cpu = time.monotonic() - begun, processes.cpu_seconds(worker) - cpu
    viewer.wait_more(5)
    viewer.close()
    good = [a for a in answers if a.status == 200]
    assert good, f"no picture in {len(answers)} answers: {answers[-1].status if answers else None}"
    times = [(a.answered - a.asked) * 1000 for a in good]
    return {
        "pollers": pollers, "in_phase": in_phase, "polls": len(answers), "failed": len(answers) - len(good),
        "median_ms": statistics.median(times), "p99_ms": quantile(times, 0.99), "min_ms": min(times),
        "age_median_ms": statistics.median(int(a.headers["x-snapshot-age-ms"]) for a in good),
        "cpu": cpu / took, "pictures_per_second": len({a.headers["etag"] for a in good}) / took,
        "requests_per_second": len(answers) / took}


def measure_freshness(gateway, url, polls=40):
    """How many pictures a snapshot is behind the newest that a viewer had when it was asked for."""
    with gateway.view(url) as viewer:
        viewer.wait_frames(30)
        answers = []
        for _ in range(polls):
            time.sleep(random.uniform(0.02, 0.25))
            answers.append(snapshot(gateway, url, width=640))
        viewer.wait_more(5)
    video = list(viewer.flv.video)
    counters = counters_of_frames(viewer.flv)
    seen = [picture.read_counter(p) for p in read_jpegs([a.body for a in answers])]
    behind = [frames_behind(c, a.asked, video, counters) for c, a in zip(seen, answers)]
    return {"polls": polls, "median": statistics.median(behind), "worst": max(behind)}


def bench_polling(cameras, directory, seconds, counts):
    result = {}
    for row in ROWS:
        with start_gateway(directory) as gateway:
            url = cameras.rtsp_url(row)
            # In phase the picture rate is the same, however many ask; 100 at 4K would measure the client.
            cases = [(n, phase) for n in counts for phase in (False, True)
                     if (n > 1 or not phase) and (n <= 20 or row == ROWS[0])]
            result[row] = {"polling": [measure_polling(gateway, url, n, max(seconds, 200 // (5 * n)), phase)
                                       for n, phase in cases],
                           "freshness": measure_freshness(gateway, url)}
    return result


# --- key frames and newest pictures, beside a reference ------------------------------------------------

def poll_steadily(gateway, url, rate, seconds, **parameters):
    """One poller, rate times a second -> answers."""
    answers, due = [], time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        answers.append(snapshot(gateway, url, **parameters))
        due += 1 / rate
    return answers


def reference(directory, viewer, quality=85):
    """CPU ms of the frames that a viewer got: (key frame, frame, JPEG), by libavcodec and libjpeg-turbo alone."""
    path = os.path.join(directory, "reference." + viewer.flv.video[0].config.codec)
    with open(path, "wb") as file:
        file.write(viewer.flv.annex_b())
    output = subprocess.run([os.path.join(ROOT, "build", "release", "bench", "snapshot_reference"), path,
                             str(quality)], stdout=subprocess.PIPE, check=True).stdout
    return tuple(map(float, output.split()))


def measure_kind(gateway, url, worker, idle_cores, rate, kind, seconds, costs):
    poll_steadily(gateway, url, rate, 3, picture=kind)
    cpu, begun = processes.cpu_seconds(worker), time.monotonic()
    answers = poll_steadily(gateway, url, rate, seconds, picture=kind)
    cores = (processes.cpu_seconds(worker) - cpu) / (time.monotonic() - begun) - idle_cores
    key_ms, frame_ms, jpeg_ms = costs
    decode_ms = rate * key_ms if kind == "key" else picture.FRAME_RATE * frame_ms
    times = [(a.answered - a.asked) * 1000 for a in answers if a.status == 200]
    return {"kind": kind, "rate": rate, "cores": cores, "reference_cores": (decode_ms + rate * jpeg_ms) / 1000,
            "median_ms": statistics.median(times), "failed": len(answers) - len(times),
            "private_mb": private_mb_beside_another(gateway, url, worker, rate, kind)}


def private_mb_beside_another(gateway, url, worker, rate, kind):
    """Of a polled worker, while the same camera's twin is polled, too: what the libraries' pages cost is no camera's own."""
    twin = threading.Thread(target=poll_steadily, args=(gateway, f"{url}?number=2", rate, 5), kwargs={"picture": kind})
    twin.start()
    poll_steadily(gateway, url, rate, 4, picture=kind)
    private = processes.private_bytes(worker) / 1e6
    twin.join()
    return private


def bench_kinds(cameras, directory, seconds):
    """Cores beyond those of a worker with one viewer, which receives the stream anyway."""
    result = {}
    for row, cases in ((ROWS[0], ((1, "key"), (5, "newest"))), (ROWS[1], ((1, "key"),))):
        url = cameras.rtsp_url(row)
        with start_gateway(directory) as gateway:
            viewer = watch(gateway, url)
            worker = only_worker(gateway)
            cpu, begun = processes.cpu_seconds(worker), time.monotonic()
            time.sleep(seconds)
            idle_cores = (processes.cpu_seconds(worker) - cpu) / (time.monotonic() - begun)
            costs = reference(directory, viewer)
            result[row] = [measure_kind(gateway, url, worker, idle_cores, rate, kind, seconds, costs)
                           for rate, kind in cases]
            viewer.close()
    return result


def kinds_text(r):
    return "\n".join(["## Key frames and newest pictures, beside libavcodec and libjpeg-turbo alone", "", table(
        ("camera", "picture", "polls/s", "cores", "reference", "ratio", "median ms", "private MB", "failed"),
        [(row, m["kind"], m["rate"], f"{m['cores']:.4f}", f"{m['reference_cores']:.4f}",
          f"{m['cores'] / m['reference_cores']:.2f}", f"{m['median_ms']:.1f}", f"{m['private_mb']:.1f}", m["failed"])
         for row, measured in r.items() for m in measured])])


# --- one connection -----------------------------------------------------------------------------

NGINX = """daemon off;
pid {directory}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {directory}/www; }}
}}
"""


def drain_answers(port, target, count):
    """count requests over one connection, one after the other -> seconds."""
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with connect(port, 30) as sock:
        begun = time.monotonic()
        for _ in range(count):
            sock.sendall(request)
            data = sock.recv(1 << 20)
            head, _, body = data.partition(b"\r\n\r\n")
            length = int(parse_head(head)[1]["content-length"])
            left = length - len(body)
            while left > 0:
                left -= len(sock.recv(min(left, 1 << 20)))
        return time.monotonic() - begun


def bench_keep_alive(cameras, directory, count=8000):
    """The same picture from a worker that has it, and from nginx that has it as a file: CPU of the process."""
    url = cameras.rtsp_url(ROWS[0])
    with start_gateway(directory) as gateway:
        viewer = watch(gateway, url)
        worker = only_worker(gateway)
        target = stream_target(url, path="/snapshot", picture="key")
        body = snapshot(gateway, url, picture="key").body
        cpu = processes.cpu_seconds(worker)
        took = drain_answers(gateway.snapshot_port, target, count)
        ours = (count / took, (processes.cpu_seconds(worker) - cpu) / count * 1e6)
        viewer.close()
    os.makedirs(f"{directory}/www", exist_ok=True)
    with open(f"{directory}/www/picture.jpg", "wb") as file:
        file.write(body)
    os.chmod(directory, 0o755)
    port = free_port()
    with open(f"{directory}/nginx.conf", "w", encoding="utf-8") as file:
        file.write(NGINX.format(directory=directory, port=port))
    server = subprocess.Popen(["nginx", "-c", f"{directory}/nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: processes.children(server.pid), 10, "nginx")
        (child,) = processes.children(server.pid)
        cpu = processes.cpu_seconds(child)
        took = drain_answers(port, "/picture.jpg", count)
        theirs = (count / took, (processes.cpu_seconds(child) - cpu) / count * 1e6)
    finally:
        server.terminate()  # killed, it would leave its worker behind
        server.wait()
    return {"bytes": len(body), "ours": ours, "nginx": theirs}


def keep_alive_text(r):
    return "\n".join([f"## One connection, a picture of {r['bytes']} bytes that is made already", "", table(
        ("", "requests/s of this client", "CPU µs per request"),
        [(name, f"{r[name][0]:.0f}", f"{r[name][1]:.1f}") for name in ("ours", "nginx")])])


# --- memory ---------------------------------------------------------------------------------------

def measure_memory(gateway, url):
    viewer = watch(gateway, url).wait_frames(150)  # the ring holds as much as it will
    worker = only_worker(gateway)

    def private_mb():
        return processes.private_bytes(worker) / 1e6
    before, during = private_mb(), []
    polling = threading.Thread(target=poll, args=(gateway, url, 5, 6))
    polling.start()
    while polling.is_alive():
        during.append(private_mb())
        time.sleep(0.1)
    polling.join()
    time.sleep(KEEP_SECONDS + 2)
    after = private_mb()
    viewer.close()
    return {"before_mb": before, "median_during_mb": statistics.median(during), "most_mb": max(during),
            "after_mb": after}


def bench_memory(cameras, directory):
    result = {}
    for row in ("720p-H264-AAC",) + ROWS:
        with start_gateway(directory) as gateway:
            result[row] = measure_memory(gateway, cameras.rtsp_url(row))
    return result


# --- cold start -----------------------------------------------------------------------------------

def bench_cold(cameras, directory, starts):
    """By turns: GET to the first key frame of a stream, GET to the end of a snapshot; nobody is connected."""
    row = ROWS[0]
    url = cameras.rtsp_url(row)
    streams, snapshots = [], []
    with start_gateway(directory, QUICK_IDLE) as gateway:
        for _ in range(starts):
            viewer = gateway.view(url)
            viewer.wait_frames(1)
            streams.append((viewer.first_key - viewer.started) * 1000)
            viewer.close()
            cameras.wait_for_sessions(0, row)
            wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
            answer = snapshot(gateway, url)
            snapshots.append((answer.answered - answer.asked) * 1000)
            cameras.wait_for_sessions(0, row)
            wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    return {"row": row, "stream_ms": streams, "snapshot_ms": snapshots}


# --- effect on viewers ----------------------------------------------------------------------------

def frame_delays(viewer):
    """Of each video frame: ms later than the most punctual one."""
    late = [f.received * 1000 - f.dts for f in viewer.flv.video[10:]]
    return [x - min(late) for x in late]


def bench_viewers(cameras, directory, seconds):
    row = ROWS[0]
    url = cameras.rtsp_url(row)
    result = {}
    with start_gateway(directory) as gateway:
        for name, pollers in (("no polling", 0), ("20 pollers", 20), ("no polling again", 0)):
            with gateway.view(url) as viewer:
                viewer.wait_frames(5)
                if pollers > 0:
                    poll(gateway, url, pollers, seconds, width=640)
                else:
                    time.sleep(seconds)
            delays = frame_delays(viewer)
            result[name] = {"median_ms": statistics.median(delays), "p99_ms": quantile(delays, 0.99),
                            "frames": len(delays)}
    return result


# --- lost packets ---------------------------------------------------------------------------------

def source_pictures(width, height):
    """Luma of the pictures before they were encoded, by counter."""
    program = os.path.join(ROOT, "build", "release", "test", "sample-picture")
    raw = subprocess.run([program, str(width), str(height), str(picture.LOOP_FRAMES), str(picture.LOOP_FRAMES), "8"],
                         stdout=subprocess.PIPE, check=True).stdout
    size = width * height * 3 // 2
    return [np.frombuffer(raw, np.uint8, width * height, i * size).reshape(height, width)
            for i in range(picture.LOOP_FRAMES)]


def psnr(rgb, sources):
    """Against the source picture of its counter -> dB, or None when the counter cannot be read."""
    counter = picture.read_counter(rgb)
    if counter is None or counter >= len(sources):
        return None
    # The camera's luma is limited range; RGB's is full.
    luma = rgb.astype(np.float32) @ np.float32([0.2126, 0.7152, 0.0722]) * (219 / 255) + 16
    error = np.mean((luma - sources[counter]) ** 2)
    return float(10 * np.log10(255 ** 2 / max(error, 1e-9)))


def judge(jpegs, sources, at_once=20):
    """psnr() of each, decoded some at a time."""
    result = []
    for first in range(0, len(jpegs), at_once):
        raw = subprocess.run(["ffmpeg", "-v", "error", "-f", "mjpeg", "-i", "-", "-fps_mode", "passthrough", "-f",
                              "rawvideo", "-pix_fmt", "rgb24", "-"], input=b"".join(jpegs[first:first + at_once]),
                             stdout=subprocess.PIPE, check=True).stdout
        shape = (*sources[0].shape, 3)
        size = shape[0] * shape[1] * 3
        result += [psnr(np.frombuffer(raw, np.uint8, size, at).reshape(shape), sources)
                   for at in range(0, len(raw), size)]
    assert len(result) == len(jpegs), "a JPEG could not be decoded"
    return result


def ask_at_random(gateway, url, parameters, count, answers, until):
    """Until there are so many pictures, or the time has come."""
    while sum(a.status == 200 for a in answers) < count and time.monotonic() < until:
        time.sleep(random.uniform(0, 1))
        answers.append(snapshot(gateway, url, quality=95, **parameters))


def bench_loss(directory, loss_percent, total, clients=4):
    """Snapshots at random moments of every 720p row, until each has its share of the pictures."""
    sources = source_pictures(1280, 720)
    rows = [("rtsp", r) for r in RTSP_ROWS] + [("rtmp", r) for r in RTMP_ROWS]
    rows = [(protocol, r) for protocol, r in rows if r.startswith("720p")]
    share = -(-total // len(rows))
    answers, threads = {}, []
    until = time.monotonic() + LOSS_SECONDS
    with SampleCameras(sizes=("720p",)) as cameras, start_gateway(directory) as gateway:
        for protocol, row in rows:
            url = cameras.rtsp_url(row) if protocol == "rtsp" else cameras.rtmp_url(row)
            parameters = {"cam_type": "rtsp-udp"} if protocol == "rtsp" else {}
            into = answers[f"{protocol} {row}"] = []
            threads += [threading.Thread(target=ask_at_random, args=(gateway, url, parameters, share, into, until))
                        for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return {"loss_percent": loss_percent, "rows": {row: {
        "psnr": judge([a.body for a in into if a.status == 200], sources),
        "age_ms": [int(a.headers["x-snapshot-age-ms"]) for a in into if a.status == 200],
        "took_ms": [(a.answered - a.asked) * 1000 for a in into if a.status == 200],
        "others": [a.status for a in into if a.status != 200]} for row, into in answers.items()}}


def loss_text(r):
    lines, asked, made, bad, timeouts = [], 0, 0, 0, 0
    for row, m in r["rows"].items():
        good = [p for p in m["psnr"] if p is not None]
        asked += len(m["psnr"]) + len(m["others"])
        made += len(m["psnr"])
        bad += m["psnr"].count(None) + sum(p <= 30 for p in good)
        timeouts += m["others"].count(504)
        lines.append((row, len(m["psnr"]) + len(m["others"]), len(m["psnr"]), f"{min(good):.1f}" if good else "",
                      m["psnr"].count(None), *(f"{quantile(m[name], q):.0f}" if m[name] else ""
                                               for name in ("took_ms", "age_ms") for q in (0.5, 0.95)),
                      ", ".join(f"{n} × {m['others'].count(n)}" for n in sorted(set(m["others"])))))
    return "\n".join([
        f"## Snapshots with {r['loss_percent']} % of UDP packets lost", "",
        table(("row", "asked", "pictures", "worst PSNR dB", "counter unreadable", "answer ms, median", "p95",
               "age ms, median", "p95", "other answers"), lines), "",
        f"{asked} asked, {made} pictures, {bad} of them bad (counter unreadable or PSNR of 30 dB or less), "
        f"{timeouts} × 504."])


# --- tables ---------------------------------------------------------------------------------------

def polling_text(r):
    parts = []
    for row, measured in r.items():
        f = measured["freshness"]
        parts += [f"## Snapshots of {row}, {POLLS_PER_SECOND} polls per second and poller", "", table(
            ("pollers", "polls", "failed", "median ms", "p99 ms", "min ms", "age ms", "pictures/s", "requests/s",
             "cores of the worker"),
            [(f"{m['pollers']}{' in phase' if m['in_phase'] else ''}", m["polls"], m["failed"], f"{m['median_ms']:.1f}", f"{m['p99_ms']:.1f}",
              f"{m['min_ms']:.1f}", f"{m['age_median_ms']:.0f}", f"{m['pictures_per_second']:.1f}",
              f"{m['requests_per_second']:.0f}", f"{m['cpu']:.3f}") for m in measured["polling"]]), "",
                  f"Behind the newest frame of a viewer: median {f['median']:.0f}, worst {f['worst']} pictures "
                  f"({f['polls']} polls).", ""]
    return "\n".join(parts)


def memory_text(r):
    return "\n".join(["## Memory of the worker, private MB (one viewer)", "", table(
        ("camera", "before", "polled, median", "polled, most", f"{KEEP_SECONDS} s after"),
        [(row, f"{m['before_mb']:.1f}", f"{m['median_during_mb']:.1f}", f"{m['most_mb']:.1f}", f"{m['after_mb']:.1f}")
         for row, m in r.items()])])


def cold_text(r):
    def row(name, values):
        return name, f"{statistics.median(values):.1f}", f"{min(values):.1f}", f"{max(values):.1f}", len(values)
    return "\n".join([f"## Cold start, {r['row']}", "", table(("ms", "median", "min", "max", "n"), [
        row("stream: GET to first key frame", r["stream_ms"]),
        row("snapshot: GET to last byte", r["snapshot_ms"])]), "",
        f"Snapshot: stream + {statistics.median(r['snapshot_ms']) - statistics.median(r['stream_ms']):.1f} ms."])


def viewers_text(r):
    return "\n".join([f"## Delay of a viewer's frames beyond the most punctual one, {ROWS[0]}", "", table(
        ("", "median ms", "p99 ms", "frames"),
        [(name, f"{m['median_ms']:.1f}", f"{m['p99_ms']:.1f}", m["frames"]) for name, m in r.items()])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("polling", "kinds", "keep-alive", "memory", "cold", "viewers", "loss"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--pollers", default="1,20,100")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--loss", type=float, default=5, help="percent of UDP packets")
    parser.add_argument("--snapshots", type=int, default=1000, help="pictures wanted, with --only loss")
    parser.add_argument("--prefix", default="", help="command words in front of the gateway: taskset -c 1")
    options = parser.parse_args()
    PREFIX.extend(options.prefix.split())
    build_if_missing("snapshot_reference")
    with tempfile.TemporaryDirectory() as directory:
        if options.only == "loss":
            enter_own_network()
            lose_udp(options.loss)
            result = bench_loss(directory, options.loss, options.snapshots)
            write("snapshot-loss", result, loss_text(result))
            return
        counts = [int(n) for n in options.pollers.split(",")]
        parts = {"polling": (lambda c: bench_polling(c, directory, options.seconds, counts), polling_text),
                 "kinds": (lambda c: bench_kinds(c, directory, options.seconds), kinds_text),
                 "keep-alive": (lambda c: bench_keep_alive(c, directory), keep_alive_text),
                 "memory": (lambda c: bench_memory(c, directory), memory_text),
                 "cold": (lambda c: bench_cold(c, directory, options.starts), cold_text),
                 "viewers": (lambda c: bench_viewers(c, directory, options.seconds), viewers_text)}
        with SampleCameras(sizes=("720p", "1080p", "4k")) as cameras:
            for name, (measure, text) in parts.items():
                if options.only in (None, name):
                    result = measure(cameras)
                    write("snapshot-" + name, result, text(result))


if __name__ == "__main__":
    main()
