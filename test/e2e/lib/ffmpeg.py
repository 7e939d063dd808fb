"""ffmpeg and ffprobe as decoders and as players."""
import json
import os
import subprocess

import numpy

from .gateway import ROOT


def _run(command, data=None, timeout=120):
    return subprocess.run(command, input=data, stdin=subprocess.DEVNULL if data is None else None,
                          capture_output=True, timeout=timeout, check=False)


def _decode(codec_format, data, output):
    result = _run(["ffmpeg", "-v", "warning", "-nostdin", "-f", codec_format, "-i", "pipe:0", *output, "pipe:1"],
                  data)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout, result.stderr.decode()


def decode_video(codec, annex_b, width, height, filters="", threads=1):
    """Luma of every picture in output order, scaled to width x height: array [picture, y, x].

    Whatever the decoder complains about fails the test: a damaged stream does not decode silently.
    """
    chain = filters + ("," if filters else "") + f"scale={width}:{height}:flags=area"
    result = _run(["ffmpeg", "-v", "error", "-nostdin", "-threads", str(threads), "-err_detect", "explode", "-f",
                   codec, "-i", "pipe:0", "-map", "0:v:0", "-vf", chain, "-fps_mode", "passthrough", "-f", "rawvideo",
                   "-pix_fmt", "gray", "pipe:1"], annex_b, timeout=300)
    assert result.returncode == 0 and not result.stderr, result.stderr.decode()[-2000:]
    return numpy.frombuffer(result.stdout, numpy.uint8).reshape(-1, height, width)


def decode_audio(adts, rate):
    """Mono samples in -1..1 at the stream's own rate."""
    samples, complaints = _decode("aac", adts, ["-f", "f32le", "-ac", "1", "-ar", str(rate)])
    assert not complaints, complaints[-2000:]
    return numpy.frombuffer(samples, "<f4")


def ffprobe(url, *args, program=("ffprobe",), timeout=60):
    """Streams and format as ffprobe sees them, and how many seconds it took to see them is up to the caller."""
    result = _run([*program, "-v", "error", "-of", "json", "-show_streams", "-show_format", *args, url], None, timeout)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)


def trixie_root():
    """A Debian 13 tree with FFmpeg 7.1 in it, or None."""
    for path in (os.environ.get("CAM_TRIXIE_ROOT", ""), os.path.join(ROOT, "build", "trixie")):
        if path and os.path.exists(os.path.join(path, "usr/bin/ffprobe")):
            return path
    return None


def ffprobe_bytes(codec, annex_b):
    """The video stream that ffprobe finds in an elementary stream."""
    result = _run(["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-f", codec, "pipe:0"], annex_b)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)["streams"][0]
