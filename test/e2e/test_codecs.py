"""Cameras whose picture is neither H.264 nor HEVC: viewers get H.264 made of it, or AV1 as it is if they ask for it;
snapshots of JPEG cameras are the camera's own JPEG.

The cameras are GStreamer's RTSP server and nginx-rtmp with ffmpeg; each picture is decoded and its counter read.
"""
import json
import os
import random
import subprocess

import numpy
import pytest

from conftest import QUICK
from lib import gst_server
from lib.fake_rtmp import PlayingRtmp
from lib.flv import split_obus
from lib.gst_server import GstServer
from lib.http import stream_target
from lib.nginx_rtmp import MODULE, NginxRtmp
from lib.picture import decode_counters
from lib.scripted_rtsp import Script, ScriptedCamera
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

FLV_CODECS = {  # of ffmpeg: (options, name by the API)
    "flv": (["-g", "25", "-q:v", "3"], "Sorenson H.263"),
    "flashsv": (["-g", "25"], "Screen Video"),
    "flashsv2": (["-g", "25"], "Screen Video 2"),
}


@needs_nginx
@pytest.mark.parametrize("encoder", FLV_CODECS)
def test_old_codecs_of_flv(shared_gateway, frames, tmp_path, encoder):
    """FLV's codec IDs 2, 3 and 6, through nginx-rtmp."""
    options, name = FLV_CODECS[encoder]
    path = tmp_path / "camera.flv"
    path.write_bytes(encode(frames, "-c:v", encoder, *options, "-f", "flv"))
    with NginxRtmp() as server:
        server.publish_file("camera", path)
        assert_h264(shared_gateway, server.url("camera"), name, (640, 360))


def flv_tag(timestamp, body):
    head = b"\x09" + len(body).to_bytes(3, "big") + timestamp.to_bytes(3, "big") + bytes(4)
    return head + body + (len(body) + 11).to_bytes(4, "big")


def vp6_flv(seed, alpha):
    """VP6 of 8 x 10 macroblocks, 2 columns and 10 rows cropped.  Nothing free encodes it, but its arithmetic coder
    makes a picture of any bytes, another one of each seed."""
    noise = random.Random(seed).randbytes(400) + bytes(8000)
    file = b"FLV\1\1\0\0\0\x09" + bytes(4)
    for i in range(200):
        key = i % 25 == 0
        if key:
            picture = b"\x28\x46\x08\x0a\x08\x0a" + noise
        else:
            picture = b"\xa8" + bytes(2000)
        head = b"\x2a" + (len(picture).to_bytes(3, "big") if alpha else b"")
        kind = (0x10 if key else 0x20) | (5 if alpha else 4)
        file += flv_tag(i * 40, bytes([kind]) + head + picture * (2 if alpha else 1))
    return file


def luma_of(data, form):
    """The first picture, as ffmpeg decodes it."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-f", form, "-i", "-", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
                          "yuv420p", "-"], input=data, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return numpy.frombuffer(raw, numpy.uint8)[:158 * 118].astype(float)


@pytest.mark.parametrize("alpha", [False, True], ids=["vp6f", "vp6a"])
def test_vp6(shared_gateway, alpha):
    """FLV's codec IDs 4 and 5: the picture that ffmpeg decodes of the camera's file."""
    sent = vp6_flv(1, alpha)
    with PlayingRtmp(sent) as camera:
        url = f"rtmp://127.0.0.1:{camera.port}/live/camera"
        with shared_gateway.view(url) as viewer:
            viewer.wait_frames(30)
            wait_for(lambda: stream_of(shared_gateway, url)["video_codec"] == "VP6", 30, "VP6 in the API")
            answer = snapshot(shared_gateway, url)
    flv = viewer.flv
    flv.check()
    assert answer.status == 200 and jpeg_size(answer.body) == (158, 118)
    got = luma_of(flv.annex_b(), "h264")
    right, other = luma_of(sent, "flv"), luma_of(vp6_flv(2, alpha), "flv")
    assert got.size == right.size == 158 * 118
    assert abs(got - right).mean() < abs(got - other).mean() / 10


def ivf_frames(data):
    at = 32
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        yield data[at + 12:at + 12 + size]
        at += 12 + size


def av1_flv(frames):
    """AV1 as Enhanced RTMP has it (FFmpeg 6.1 is the first that writes it) -> an FLV file."""
    file = b"FLV\1\1\0\0\0\x09" + bytes(4)
    ivf = encode(frames, "-vf", "scale=320:180", "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-b:v", "600k",
                 "-g", "25", "-lag-in-frames", "0", "-f", "ivf")
    for i, data in enumerate(ivf_frames(ivf)):
        obus = [obu for obu in split_obus(data) if obu[0] >> 3 & 15 != 2]  # without temporal delimiters
        key = obus[0][0] >> 3 & 15 == 1
        if i == 0:  # profile 0, 8 bits, 4:2:0; the level stands in the sequence header's fourth byte
            file += flv_tag(0, b"\x90av01" + bytes([0x81, obus[0][5] >> 3, 0x0C, 0]) + obus[0])
        file += flv_tag(i * 40, (b"\x91" if key else b"\xa1") + b"av01" + b"".join(obus))
    return file


def test_av1(shared_gateway, frames):
    with PlayingRtmp(av1_flv(frames)) as camera:
        assert_av1(shared_gateway, f"rtmp://127.0.0.1:{camera.port}/live/camera")


def assert_av1(gateway, url):
    """As it is for who asks for that, as H.264 for others, at the same time."""
    with gateway.view(url) as other, gateway.view(url, av1="enhanced", allow_h265="false") as asks:
        other.wait_frames(30)
        asks.wait_frames(30)
        answer = snapshot(gateway, url)
        wait_for(lambda: stream_of(gateway, url)["video_codec"] == "AV1", 30, "AV1 in the API")
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


class Av1Units:
    """What ScriptedCamera sends: for each picture its OBUs, as AOM's RTP format wants them: without sizes and
    temporal delimiters."""

    def __init__(self, ivf):
        self.units = [[self.without_size(obu) for obu in split_obus(data) if obu[0] >> 3 & 15 != 2]
                      for data in ivf_frames(ivf)]

    @staticmethod
    def without_size(obu):
        at = 1 + (obu[0] >> 2 & 1)
        end = at + 1
        while obu[end - 1] & 0x80:
            end += 1
        return bytes([obu[0] & ~2]) + obu[1:at] + obu[end:]


def leb128(value):
    low = b""
    while value > 0x7F:
        low, value = low + bytes([value & 0x7F | 0x80]), value >> 7
    return low + bytes([value])


class Av1Camera(Script):
    """AOM's RTP Payload Format For AV1: several OBUs in a packet, and OBUs in several packets."""

    speed, audio = 1, False

    def video_sdp(self):
        return ["m=video 0 RTP/AVP 96", "a=rtpmap:96 AV1/90000", "a=fmtp:96 profile=0;level-idx=5;tier=0", "a=control:trackID=1"]

    def payloads(self, obus):
        packets, body, head = [], b"", 8 if obus[0][0] >> 3 == 1 else 0  # N: a sequence header begins
        for obu in obus:
            while obu:
                piece = obu[:self.mtu - len(body) - 3]
                obu = obu[len(piece):]
                body += leb128(len(piece)) + piece
                if obu or len(body) > self.mtu - 8:  # Y: it goes on; then Z: it comes from before
                    packets.append(bytes([head | (0x40 if obu else 0)]) + body)
                    body, head = b"", 0x80 if obu else 0
        return packets + ([bytes([head]) + body] if body else [])


AV1_ENCODERS = {
    "libaom-av1": ["-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-b:v", "600k"],
    "libsvtav1": ["-preset", "12", "-svtav1-params", "pred-struct=1", "-crf", "40"],
}


@pytest.mark.parametrize("encoder", AV1_ENCODERS)
def test_av1_over_rtsp(shared_gateway, frames, encoder):
    ivf = encode(frames, "-vf", "scale=320:180", "-c:v", encoder, *AV1_ENCODERS[encoder], "-g", "25", "-f", "ivf")
    with ScriptedCamera(Av1Camera(Av1Units(ivf))) as camera:
        assert_av1(shared_gateway, camera.url())


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
