#!/usr/bin/python3
"""What transcoding an HEVC camera to each size costs, beside ffmpeg: the same pictures, decoded, scaled and encoded
by x264's veryfast, one thread, without pauses.  A machine with other work makes the transcoder leave pictures out: the
last column tells how many.

    bench_transcode.py [--row 1080p-H265-AAC] [--seconds 20]
"""
import argparse
import json
import os
import re
import resource
import subprocess
import tempfile
import time

from measure import table, write  # first: it leads to lib

from lib import processes
from lib.cameras import SampleCameras
from lib.gateway import Gateway
from lib.http import request
from lib.wait import wait_for

LINES = (360, 540, 720, 1080)


def children_seconds():
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    return use.ru_utime + use.ru_stime


def record(url, path, seconds):
    """The camera's pictures as they are. -> how many"""
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-rtsp_transport", "tcp", "-i", url, "-t", str(seconds),
                    "-map", "0:v", "-c", "copy", "-f", "hevc", path], check=True, timeout=seconds + 60)
    counted = subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets",
                              "-of", "json", path], check=True, stdout=subprocess.PIPE, timeout=120).stdout
    return int(json.loads(counted)["streams"][0]["nb_read_packets"])


def reference(path, frames, lines, fps):
    """ffmpeg's core for pictures at their own pace."""
    before = children_seconds()
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", path, "-an", "-filter_threads", "1",
                    "-vf", f"scale=-2:'min({lines},ih)':flags=bilinear", "-c:v", "libx264", "-preset", "veryfast",
                    "-tune", "zerolatency", "-crf", "23", "-x264-params", "threads=1:scenecut=0", "-g", "50",
                    "-f", "null", "-"], check=True, timeout=600)
    return (children_seconds() - before) / frames * fps


def left_out(gateway):
    """Pictures that transcoders have left out so far, because the machine had no time for them."""
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return sum(float(n) for n in re.findall(r"^cam_httpflv_transcoder_\w+_frames_total (\S+)$", text, re.M))


def of_worker(gateway, pid, seconds, viewer):
    """The worker's core while the viewer watches, and how many pictures were left out meanwhile."""
    viewer.wait_frames(50)
    time.sleep(2)  # what came before the first key frame is over, and told
    start, began, left = processes.cpu_seconds(pid), time.monotonic(), left_out(gateway)
    time.sleep(seconds)
    core = (processes.cpu_seconds(pid) - start) / (time.monotonic() - began)
    time.sleep(1.1)  # workers report once a second
    return core, left_out(gateway) - left


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--row", default="1080p-H265-AAC")
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    rows = []
    with SampleCameras() as cameras, tempfile.TemporaryDirectory() as folder, Gateway(folder, "") as gateway:
        url = cameras.rtsp_url(args.row)
        path = os.path.join(folder, "camera.hevc")
        frames = record(url, path, args.seconds)
        with gateway.view(url) as untouched:
            untouched.wait_frames(50)
            pid = wait_for(lambda: gateway.busy_workers(), 30, "the worker")[0]
            idle, _ = of_worker(gateway, pid, args.seconds, untouched)
            for lines in LINES:
                with gateway.view(url, allow_h265="false", height=str(lines)) as viewer:
                    core, left = of_worker(gateway, pid, args.seconds, viewer)
                    size = viewer.flv.metadata
                wait_for(lambda: gateway.log().count("nobody needs the transcoder") > len(rows), 30, "it to end")
                theirs = reference(path, frames, lines, 25)
                rows.append([f"{size['width']:.0f} × {size['height']:.0f}", f"{core - idle:.2f}", f"{theirs:.2f}",
                             f"{(core - idle) / theirs:.2f}", f"{left:.0f}"])
                print(rows[-1], flush=True)
    write("transcode", rows, table(["size", "core", "ffmpeg", "ratio", "left out"], rows))


if __name__ == "__main__":
    main()
