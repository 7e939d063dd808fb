#!/usr/bin/python3
"""Checks the sample cameras themselves, so that tests can trust them.

    test/cameras/check.py [--sizes 720p,1080p,2k,4k] [--seconds 11] [--jobs 1] [ROW ...]

Reads rows with ffmpeg, RTSP over TCP and UDP and RTMP, and wants: the right codecs and size,
consecutive counters across the loop's seam, the tone without a gap, sound within 20 ms of picture.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from lib import cameras as sample, media, picture  # noqa: E402

VIDEO_NAMES = {"H264": "h264", "H265": "hevc"}
AUDIO_NAMES = {"AAC": "aac", "G711A": "pcm_alaw", "G711U": "pcm_mulaw", "G722": "adpcm_g722",
               "OPUS": "opus"}
MAX_OFFSET_S = 0.020


def problems_of(row, recording, seconds):
    size, video, audio = row.split("-")
    problems = []

    def want(what, value, wanted):
        if value != wanted:
            problems.append(f"{what} is {value}, wanted {wanted}")

    want("video", recording.video_codec, VIDEO_NAMES[video])
    want("size", (recording.width, recording.height), sample.DIMENSIONS[size])
    if audio != "G726":
        want("audio", recording.audio_codec, AUDIO_NAMES[audio])
    problems += picture.describe_breaks(recording.counters)[:3]
    if len(recording.counters) < (seconds - 1) * picture.FRAME_RATE:
        problems.append(f"only {len(recording.counters)} pictures")
    steps = [b - a for a, b in zip(recording.video_times, recording.video_times[1:])]
    if steps and (min(steps) < 0.038 or max(steps) > 0.042):
        problems.append(f"picture times step by {min(steps):.4f} to {max(steps):.4f} s")
    if abs(recording.tone_hz - 440) > 2 or recording.tone_purity < 0.9:
        problems.append(f"tone {recording.tone_hz:.1f} Hz, purity {recording.tone_purity:.2f}")
    if recording.gaps:
        problems.append(f"silence at {recording.gaps[:3]}")
    if recording.jumps:
        problems.append(f"audio times jump at {recording.jumps[:3]}")
    offsets = recording.av_offsets()
    if len(offsets) < seconds / 2 - 2:
        problems.append(f"only {len(offsets)} bursts")
    if offsets and max(map(abs, offsets)) > MAX_OFFSET_S:
        problems.append("offsets " + " ".join(f"{o * 1000:.1f}" for o in offsets) + " ms")
    return problems


def check_row(row, transport, cameras, seconds, folder):
    path = os.path.join(folder, f"{row}-{transport}.nut")
    try:
        if transport == "rtmp":
            media.record(cameras.rtmp_url(row), path, seconds)
        else:
            # ffmpeg decodes 20 pictures before it reads on, to guess their delay; UDP packets are
            # lost meanwhile when the machine is busy.  One key frame says enough.
            media.record(cameras.rtsp_url(row), path, seconds,
                         ("-rtsp_transport", transport, "-analyzeduration", "0",
                          "-probesize", "100000"),
                         audio="pcm_s16le" if row.endswith("G726") else "copy")
        recording = media.inspect(path, timeout_s=300)
    except subprocess.SubprocessError as failure:
        print(f"FAILED {transport:4} {row:18} {failure}", flush=True)
        return False
    finally:
        if os.path.exists(path):
            os.unlink(path)
    problems = problems_of(row, recording, seconds)
    offsets = [o * 1000 for o in recording.av_offsets()]
    spread = f"{min(offsets):+.1f}..{max(offsets):+.1f} ms" if offsets else "-"
    lines = [f"{'ok' if not problems else 'FAILED':6} {transport:4} {row:18} "
             f"{len(recording.counters)} pictures, sound {spread}"]
    print("\n       ".join(lines + problems), flush=True)
    return not problems


def main():
    parser = argparse.ArgumentParser(description="check the sample cameras")
    parser.add_argument("--sizes", default=",".join(sample.SIZES))
    parser.add_argument("--seconds", type=float, default=11)
    parser.add_argument("--jobs", type=int, default=1, help="rows at the same time")
    parser.add_argument("--transports", default="tcp,udp,rtmp")
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    sizes = options.sizes.split(",")
    chosen = [(row, transport) for transport in options.transports.split(",")
              for row in (sample.RTMP_ROWS if transport == "rtmp" else sample.RTSP_ROWS)
              if row.split("-")[0] in sizes and (not options.rows or row in options.rows)]
    with (sample.SampleCameras(sizes) as cameras, tempfile.TemporaryDirectory() as folder,
          concurrent.futures.ThreadPoolExecutor(options.jobs) as pool):
        results = pool.map(lambda row: check_row(*row, cameras, options.seconds, folder), chosen)
        failed = sum(not good for good in results)
    print(f"{failed} failed" if failed else "all good")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
