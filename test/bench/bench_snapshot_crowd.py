#!/usr/bin/python3
"""Not in make bench: snapshots of many cameras, and JPEG quality of both encoders.  Tables on stdout and in build/bench/.

crowd:   64 cameras of 1080p, a key picture of each once a second, all at the same moment.
cold:    100 cameras of 720p that nobody watches, one snapshot of each, all at the same moment.
quality: size and PSNR of one picture, by libjpeg-turbo and by stb_image_write.
"""
import argparse
import collections
import os
import statistics
import subprocess
import tempfile
import threading
import time

from measure import ROOT, build_if_missing, quantile, table, write  # first: it leads to lib

from bench_snapshot import judge, source_pictures
from light_cameras import LightCameras
from lib import processes
from lib.cameras import SampleCameras
from lib.gateway import Gateway
from lib.snapshot import snapshot
from lib.wait import wait_for

QUALITY_ROW = "720p-H264-AAC"
QUALITIES = (60, 75, 85, 95)
PICTURES = 20  # of each quality


def ask_at_once(gateway, urls, **parameters):
    """One snapshot of each URL, all at the same moment -> answers; an exception is one, too."""
    answers, start = [], threading.Barrier(len(urls))

    def run(url):
        start.wait()
        try:
            answers.append(snapshot(gateway, url, **parameters))
        except (AssertionError, OSError) as e:
            answers.append(e)
    threads = [threading.Thread(target=run, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def outcome(answer):
    """In a word."""
    if isinstance(answer, Exception):
        return repr(answer)
    return "200" if answer.status == 200 else f"{answer.status} {answer.code}"


def took_ms(answers):
    return [(a.answered - a.asked) * 1000 for a in answers if outcome(a) == "200"]


def failures(answers):
    """How often each outcome but a picture."""
    counts = collections.Counter(map(outcome, answers))
    del counts["200"]
    return ", ".join(f"{n} x {what}" for what, n in counts.items()) or "none"


def bench_crowd(directory, count, seconds):
    with LightCameras("1920x1080", "4M") as cameras:
        urls = [cameras.rtsp_url(i) for i in range(count)]
        config = "".join(f'[camera "c{i}"]\nurl = {url}\nalways_on = yes\n' for i, url in enumerate(urls))
        with Gateway(directory, config, log_level="info") as gateway:
            wait_for(lambda: len(gateway.worker_of(cameras.rtsp_port)) == count, 120, "all cameras to play")
            ask_at_once(gateway, urls, picture="key")
            pids = [gateway.pid, gateway.nursery(), *gateway.worker_of(cameras.rtsp_port)]
            cpu, begun = sum(map(processes.cpu_seconds, pids)), time.monotonic()
            rounds = []
            for number in range(seconds):
                time.sleep(max(0, begun + number - time.monotonic()))
                rounds.append(ask_at_once(gateway, urls, picture="key"))
            time.sleep(max(0, begun + seconds - time.monotonic()))
            cores = (sum(map(processes.cpu_seconds, pids)) - cpu) / (time.monotonic() - begun)
    times = [took_ms(answers) for answers in rounds]
    return {"cameras": count, "cores": cores, "median_ms": statistics.median(sum(times, [])),
            "worst_ms": max(sum(times, [])), "failed": failures(sum(rounds, []))}


def crowd_text(r):
    return "\n".join([f"## {r['cameras']} cameras (1080p, H.264 and AAC), one poll a second each, all at once, key pictures", "",
                      table(("cores, all processes", "median ms", "worst ms", "failed"), [
                          (f"{r['cores']:.2f}", f"{r['median_ms']:.0f}", f"{r['worst_ms']:.0f}", r["failed"])])])


def bench_cold(directory, count, prefix):
    with LightCameras("1280x720", "2M") as cameras:
        urls = [cameras.rtsp_url(i) for i in range(count)]
        with Gateway(directory, log_level="info", prefix=prefix) as gateway:
            answers = ask_at_once(gateway, urls)
    times = took_ms(answers)
    return {"cameras": count, "prefix": " ".join(prefix), "median_ms": statistics.median(times),
            "p90_ms": quantile(times, 0.9), "worst_ms": max(times), "failed": failures(answers)}


def cold_text(r):
    return "\n".join([f"## Snapshots of {r['cameras']} cameras (720p, H.264 and AAC) that nobody watches, all at once"
                      f" ({r['prefix']})", "",
                      table(("median ms", "p90 ms", "worst ms", "failed"), [
                          (f"{r['median_ms']:.0f}", f"{r['p90_ms']:.0f}", f"{r['worst_ms']:.0f}", r["failed"])])])


def build_with(encoder):
    """The gateway with this JPEG encoder -> its program."""
    folder = os.path.join("build", "bench-" + encoder)
    subprocess.run(["make", "-j2", f"JPEG={encoder}", f"O={folder}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(ROOT, folder, "cam-httpflv")


def bench_quality(directory):
    sources, result = source_pictures(1280, 720), {}
    with SampleCameras(sizes=("720p",)) as cameras:
        url = cameras.rtsp_url(QUALITY_ROW)
        for encoder in ("turbo", "stb"):
            with Gateway(directory, log_level="info", program=build_with(encoder)) as gateway, gateway.view(url):
                for quality in QUALITIES:
                    jpegs = [snapshot(gateway, url, quality=quality).body for _ in range(PICTURES)]
                    result[f"{encoder} {quality}"] = {
                        "bytes": statistics.median(map(len, jpegs)),
                        "psnr": statistics.median(judge(jpegs, sources))}
    return result


def quality_text(r):
    return "\n".join([f"## JPEG of {QUALITY_ROW}: PSNR against the picture before H.264, medians of {PICTURES}", "", table(
        ("quality", "libjpeg-turbo, bytes", "dB", "stb_image_write, bytes", "dB"),
        [(q, *(x for encoder in ("turbo", "stb") for x in (f"{r[f'{encoder} {q}']['bytes']:.0f}",
                                                          f"{r[f'{encoder} {q}']['psnr']:.1f}"))) for q in QUALITIES])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("crowd", "cold", "quality"))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--prefix", default="taskset -c 1", help="cold: command words in front of the gateway")
    options = parser.parse_args()
    build_if_missing()
    parts = {"crowd": (lambda d: bench_crowd(d, 64, options.seconds), crowd_text),
             "cold": (lambda d: bench_cold(d, 100, options.prefix.split()), cold_text),
             "quality": (bench_quality, quality_text)}
    with tempfile.TemporaryDirectory() as directory:
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure(directory)
                write("snapshot-" + name, result, text(result))


if __name__ == "__main__":
    main()
