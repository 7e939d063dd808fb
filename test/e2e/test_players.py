"""Players of this system: ffprobe and ffmpeg 5.1, VLC; FFmpeg 7.1 from a Debian 13 tree where there is one."""
import subprocess
import time

import pytest

from lib import fake_rtsp, ffmpeg
from lib.vlc import Vlc


@pytest.fixture(scope="module")
def h264_camera():
    with fake_rtsp.FakeCamera(fake_rtsp.media("h264")) as camera:
        yield camera


@pytest.fixture(scope="module")
def hevc_camera():
    with fake_rtsp.FakeCamera(fake_rtsp.media("hevc")) as camera:
        yield camera


def codecs(found):
    return sorted((s["codec_type"], s["codec_name"]) for s in found["streams"])


def test_ffprobe_reads_h264_quickly(shared_gateway, h264_camera):
    started = time.monotonic()
    found = ffmpeg.ffprobe(shared_gateway.url(h264_camera.url()), "-count_frames", "-read_intervals", "%+2")
    assert codecs(found) == [("audio", "aac"), ("video", "h264")]
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    assert (video["width"], video["height"]) == (320, 180)
    assert video["r_frame_rate"] == "25/1"
    assert int(video["nb_read_frames"]) >= 40
    # A wrong track flag makes ffprobe wait for 88 s; right ones for as long as it wants to probe.
    assert time.monotonic() - started < 40


def test_ffprobe_reads_video_only(shared_gateway, h264_camera):
    started = time.monotonic()
    found = ffmpeg.ffprobe(shared_gateway.url(h264_camera.url(), audio="none"))
    assert codecs(found) == [("video", "h264")]
    assert time.monotonic() - started < 40


def test_ffmpeg_plays_without_complaint(shared_gateway, h264_camera):
    """What ffplay does, into nothing: live, 5 s, every picture decoded, nothing to warn about."""
    result = subprocess.run(["ffmpeg", "-v", "warning", "-nostdin", "-i",
                             shared_gateway.url(h264_camera.url(), join="gop"), "-t",
                             "5", "-fps_mode", "passthrough", "-f", "framecrc", "-"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    pictures = [line for line in result.stdout.splitlines() if line.startswith("0,")]
    assert 123 <= len(pictures) <= 126


def test_vlc_plays_h264(shared_gateway, h264_camera):
    with Vlc(shared_gateway.url(h264_camera.url())) as vlc:
        figures = vlc.wait_displayed(50)
        assert figures["video decoded"] >= 50 and figures["audio decoded"] > 10, vlc.output
        assert figures["demux corrupted"] == 0


def test_ffmpeg_7_reads_enhanced_hevc(shared_gateway, hevc_camera):
    root = ffmpeg.trixie_root()
    if root is None:
        pytest.skip("no Debian 13 tree with FFmpeg 7.1 (CAM_TRIXIE_ROOT or build/trixie)")
    found = ffmpeg.ffprobe(shared_gateway.url(hevc_camera.url()), "-count_frames", "-read_intervals", "%+2",
                           program=("chroot", root, "/usr/bin/ffprobe"))
    assert codecs(found) == [("audio", "aac"), ("video", "hevc")]
    video = next(s for s in found["streams"] if s["codec_type"] == "video")
    assert (video["width"], video["height"]) == (320, 180) and int(video["nb_read_frames"]) >= 40
