"""Cameras whose picture is neither H.264 nor HEVC: viewers get H.264 made of it, or AV1 as it is if they ask for it;
snapshots of JPEG cameras are the camera's own JPEG.

The cameras are GStreamer's RTSP server and nginx-rtmp with ffmpeg; each picture is decoded and its counter read.
"""
import json
import os
import subprocess

import pytest

from conftest import QUICK
from lib import gst_server
from lib.fake_rtmp import PlayingRtmp
from lib.flv import split_obus
from lib.gst_server import GstServer
from lib.http import stream_target
from lib.nginx_rtmp import MODULE, NginxRtmp
from lib.picture import decode_counters
from lib.snapshot import MjpegViewer, ask, counter_of, counters_of_frames, jpeg_size, snapshot
from lib.wait import wait_for

needs_nginx = pytest.mark.skipif(not os.path.exists(MODULE), reason="no nginx-rtmp")
needs_gst = pytest.mark.skipif(gst_server.missing() is not None, reason=gst_server.missing() or "")
PERIOD = gst_server.FRAMES
CIF = "videoscale ! video/x-raw,width=352,height=288 ! "
VPX = "deadline=1 keyframe-max-dist=25 target-bitrate=2000000"
LINES = {  # name in the address: (line, codec by the API, size)
    "jpeg": ("jpegenc quality=70 ! rtpjpegpay name=pay0", "MJPEG", (640, 360)),
    "jpeg422": ("videoconvert ! video/x-raw,format=Y42B ! jpegenc ! rtpjpegpay name=pay0 "
                "audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1",
                "MJPEG", (640, 360)),
    "h263": (CIF + "avenc_h263 gop-size=25 bitrate=2000000 ! rtph263pay name=pay0", "H.263", (352, 288)),
    "h2631998": (CIF + "avenc_h263 gop-size=25 bitrate=2000000 ! rtph263ppay name=pay0", "H.263", (352, 288)),
    "vp8": (f"vp8enc {VPX} ! rtpvp8pay name=pay0", "VP8", (640, 360)),
    "vp9": (f"vp9enc {VPX} cpu-used=8 ! rtpvp9pay name=pay0", "VP9", (640, 360)),
}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    gst_server.draw_frames(folder)
    return folder


def encode(frames, *options):
    """The pictures as ffmpeg encodes them, with -f FORMAT at the end -> bytes."""
    raw = b"".join(open(os.path.join(frames, f"{i:05d}.yuv"), "rb").read() for i in range(PERIOD))
    return subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "640x360", "-r", "25",
                           "-i", "-", *options, "-"], input=raw, stdout=subprocess.PIPE, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def mpeg4_file(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("mpeg4") / "camera.mkv"
    path.write_bytes(encode(frames, "-c:v", "mpeg4", "-g", "25", "-q:v", "3", "-f", "matroska"))
    return path


@pytest.fixture(scope="module")
def server(frames, mpeg4_file):
    mpeg4 = f"filesrc location={mpeg4_file} ! matroskademux ! mpeg4videoparse ! rtpmp4vpay name=pay0"
    mounts = [f"{name}={line}" for name, (line, _, _) in LINES.items()]
    with GstServer(frames, LINES["jpeg"][0], *mounts, f"mpeg4={mpeg4}") as running:
        yield running


def assert_whole(counters):
    """Every picture is whole, and none comes twice.  Some may be left out: whoever transcodes on a busy
    machine leaves pictures out rather than fall behind."""
    assert None not in counters, counters
    steps = [(b - a) % PERIOD for a, b in zip(counters, counters[1:])]
    assert 0 not in steps, counters


def stream_of(gateway, url):
    """What the API says about the camera of this address."""
    streams = json.loads(ask(gateway.snapshot_port, "/api/streams").body)["streams"]
    return next(s for s in streams if s["camera_url"] == url)


def assert_h264(gateway, url, codec, size, frames=40):
    """A viewer gets every picture as H.264, a snapshot is one of them, and the API tells what the camera sends."""
    with gateway.view(url) as viewer:
        viewer.wait_frames(frames)
        wait_for(lambda: stream_of(gateway, url)["video_codec"] == codec, 30, f"{codec} in the API")
        about = stream_of(gateway, url)
    flv = viewer.flv
    flv.check()
    assert {frame.config.codec for frame in flv.video} == {"h264"}
    counters = counters_of_frames(flv)
    assert_whole(counters)
    assert (about["width"], about["height"]) == size
    answer = snapshot(gateway, url)
    assert answer.status == 200, answer.body
    assert answer.headers["x-snapshot-codec"] == codec
    assert jpeg_size(answer.body) == size
    assert counter_of(answer) is not None


# --- RTSP -----------------------------------------------------------------------------------------

@needs_gst
@pytest.mark.parametrize("name", LINES)
def test_gstreamer(shared_gateway, server, name):
    _, codec, size = LINES[name]
    assert_h264(shared_gateway, server.mount(name), codec, size)


@needs_gst
def test_sound_beside_jpeg(shared_gateway, server):
    with shared_gateway.view(server.mount("jpeg422")) as viewer:
        viewer.wait_frames(50)
    flv = viewer.flv
    flv.check()
    assert flv.has_audio and flv.audio[-1].pts - flv.audio[0].pts > 1000


@needs_gst
def test_transcoding_forbidden(make_gateway, server):
    """[camera] transcode = never: the stream is refused, snapshots are not."""
    gateway = make_gateway(QUICK.replace("[camera]", "[camera]\ntranscode = never"))
    url = server.mount("jpeg")
    answer = ask(gateway.flv_port, stream_target(url))
    assert answer.status == 502 and b"the camera sends MJPEG, and [camera] transcode = never" in answer.body
    assert snapshot(gateway, url).status == 200


@needs_gst
def test_gstreamer_mpeg4(shared_gateway, server):
    assert_h264(shared_gateway, server.mount("mpeg4"), "MPEG-4", (640, 360))


@needs_gst
def test_udp(shared_gateway, server):
    with shared_gateway.view(server.mount("jpeg"), cam_type="rtsp-udp") as viewer:
        viewer.wait_frames(25)
    counters = counters_of_frames(viewer.flv)
    assert_whole(counters)


# --- RTMP -----------------------------------------------------------------------------------------

@needs_nginx
def test_sorenson_h263(shared_gateway, frames, tmp_path):
    """FLV's codec ID 2, through nginx-rtmp."""
    path = tmp_path / "camera.flv"
    path.write_bytes(encode(frames, "-c:v", "flv", "-g", "25", "-q:v", "3", "-f", "flv"))
    with NginxRtmp() as server:
        server.publish_file("camera", path)
        assert_h264(shared_gateway, server.url("camera"), "Sorenson H.263", (640, 360))


def ivf_frames(data):
    at = 32
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        yield data[at + 12:at + 12 + size]
        at += 12 + size


def av1_flv(frames):
    """AV1 as Enhanced RTMP has it (FFmpeg 6.1 is the first that writes it) -> an FLV file."""
    def tag(timestamp, body):
        head = b"\x09" + len(body).to_bytes(3, "big") + timestamp.to_bytes(3, "big") + bytes(4)
        return head + body + (len(body) + 11).to_bytes(4, "big")
    file = b"FLV\1\1\0\0\0\x09" + bytes(4)
    ivf = encode(frames, "-vf", "scale=320:180", "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "600k",
                 "-g", "25", "-lag-in-frames", "0", "-f", "ivf")
    for i, data in enumerate(ivf_frames(ivf)):
        obus = [obu for obu in split_obus(data) if obu[0] >> 3 & 15 != 2]  # without temporal delimiters
        key = obus[0][0] >> 3 & 15 == 1
        if i == 0:  # profile 0, 8 bits, 4:2:0; the level stands in the sequence header's fourth byte
            file += tag(0, b"\x90av01" + bytes([0x81, obus[0][5] >> 3, 0x0C, 0]) + obus[0])
        file += tag(i * 40, (b"\x91" if key else b"\xa1") + b"av01" + b"".join(obus))
    return file


def test_av1(shared_gateway, frames):
    """As it is for who asks for that, as H.264 for others, at the same time."""
    with PlayingRtmp(av1_flv(frames)) as camera:
        url = f"rtmp://127.0.0.1:{camera.port}/live/camera"
        with shared_gateway.view(url) as other, shared_gateway.view(url, av1="enhanced", allow_h265="false") as asks:
            other.wait_frames(30)
            asks.wait_frames(30)
            answer = snapshot(shared_gateway, url)
            wait_for(lambda: stream_of(shared_gateway, url)["video_codec"] == "AV1", 30, "AV1 in the API")
    counters = counters_of_frames(other.flv)
    assert_whole(counters)
    flv = asks.flv
    flv.check()
    assert {frame.config.codec for frame in flv.video} == {"av1"}
    units = b"".join(b"\x12\0" + frame.data for frame in flv.video)  # a temporal delimiter before each
    counters = decode_counters("-", input_options=("-f", "obu"), data=units)
    assert_whole(counters)
    assert answer.status == 200 and answer.headers["x-snapshot-codec"] == "AV1"
    assert counter_of(answer) is not None


# --- a camera's own JPEG --------------------------------------------------------------------------

def scan_of(jpeg):
    """The entropy-coded bytes, which every encoder makes differently."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        at += 2 + int.from_bytes(jpeg[at + 2:at + 4], "big")
    return jpeg[at + 2 + int.from_bytes(jpeg[at + 2:at + 4], "big"):].rstrip(b"\xff\xd9")


@needs_gst
def test_own_jpeg(shared_gateway, server, tmp_path):
    """Byte for byte what ffmpeg gets of the camera, unless the client asks for another size or quality."""
    url = server.mount("jpeg")
    folder = tmp_path / "sent"
    folder.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-frames:v", str(PERIOD), "-c", "copy",
                    str(folder / "%04d.jpg")], timeout=60, check=True)
    scans = {scan_of(path.read_bytes()) for path in folder.iterdir()}  # the pictures repeat after PERIOD
    answers = [snapshot(shared_gateway, url, picture=picture) for picture in ("newest", "key")]
    with MjpegViewer(shared_gateway, url, fps=25) as viewer:
        wait_for(lambda: len(viewer.parts) >= 10, 30, "ten pictures of MJPEG")
    jpegs = [answer.body for answer in answers] + [data for _, _, data in viewer.parts]
    own = [scan_of(jpeg) in scans for jpeg in jpegs]  # ffmpeg or the server may have left one out
    assert sum(own) >= len(own) // 2, own
    assert all(b"Exif" in jpeg[:64] for jpeg in jpegs)
    assert all(counter_of(answer) is not None for answer in answers)
    encoded = snapshot(shared_gateway, url, quality=70)
    assert scan_of(encoded.body) not in scans
    small = snapshot(shared_gateway, url, width=320)
    assert jpeg_size(small.body) == (320, 180)
    assert counter_of(encoded) is not None and counter_of(small) is not None


@needs_gst
def test_pictures_above_2040_pixels(shared_gateway):
    """Their size does not fit RFC 2435's header."""
    line = "videoscale ! video/x-raw,width=2560,height=1440 ! jpegenc quality=40 ! rtpjpegpay name=pay0"
    with GstServer(None, line) as camera:
        answer = snapshot(shared_gateway, camera.url)
    assert answer.status == 200, answer.body
    assert jpeg_size(answer.body) == (2560, 1440)
    assert answer.headers["x-snapshot-source-size"] == "2560x1440"
