"""Sound as cameras and servers describe it wrongly, or not at all: what viewers hear is the tone that was sent."""
import http.server
import json
import re
import struct
import subprocess
import threading
import time

import pytest

from conftest import QUICK
from lib.fake_rtmp import MEDIA_STREAM, PlayingRtmp, flv_tags, message
from lib.http import encode, request
from lib.scripted_rtsp import Script, ScriptedCamera
from lib.sliced import flv_file, flv_tag, sliced_media
from lib.sound import (AAC_CONFIG, AAC_HEAD, FRAME, RATE, TONE_HZ, aac_frames, assert_tone_in, camera_with, encode_adts, flv_with,
                       on_meta_data, rtmp_url)
from lib.wait import wait_for


@pytest.fixture(scope="module")
def adts():
    return encode_adts()


def assert_tone(gateway, url):
    with gateway.view(url) as viewer:
        viewer.wait(lambda v: v.flv.audio and v.flv.audio[-1].dts > 3500, 30, "sound")
    assert_tone_in(viewer.flv)


def why_no_sound(gateway, url):
    """What the API says."""
    answer = json.loads(request(gateway.snapshot_port, "/api/streams?cam_url=" + encode(url)).body)["streams"]
    return answer[0]["no_audio"] if answer and answer[0]["state"] == "streaming" else "not streaming"


def wait_why_no_sound(gateway, url, why):
    wait_for(lambda: why_no_sound(gateway, url) == why, 30, lambda: f"{why}, not {why_no_sound(gateway, url)}")


def lines_about_sound(gateway):
    return [line for line in gateway.log().splitlines()
            if " warn " in line and re.search(r"\b(sound|audio codec)\b", line)]


# --- RTSP -----------------------------------------------------------------------------------------

class Aac(Script):
    speed = 1
    rtpmap = "mpeg4-generic/16000/1"
    fmtp = "streamtype=5;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408"
    first = []  # lines of another track

    def __init__(self, adts):
        super().__init__()
        self.adts, self.sent = adts, 0

    def audio_sdp(self):
        return [*self.first, "m=audio 0 RTP/AVP 104", f"a=rtpmap:104 {self.rtpmap}",
                *([f"a=fmtp:104 {self.fmtp}"] if self.fmtp else []), "a=control:trackID=2"]

    def payload(self, frame):
        return struct.pack(">HH", 16, len(frame) - 7 << 3) + frame[7:]

    def datagrams(self, session, track, packets):
        if track != "audio":
            return packets
        number, out = struct.unpack(">I", packets[0][4:8])[0] // 320, []
        while self.sent * FRAME / RATE < (number + 1) / 25:
            out.append(struct.pack(">BBHII", 0x80, 104 | 0x80, self.sent & 0xFFFF, self.sent * FRAME, 77) +
                       self.payload(self.adts[self.sent % len(self.adts)]))
            self.sent += 1
        return out


class AdtsWithoutUnitHeaders(Aac):
    def payload(self, frame):
        return frame


class NoFmtp(Aac):
    fmtp = None


class NoConfig(Aac):
    fmtp = Aac.fmtp.rpartition(";")[0]


class LatmWithEmptyConfig(Aac):
    rtpmap, fmtp = "MP4A-LATM/16000/1", "cpresent=0;config="

    def payload(self, frame):
        size = len(frame) - 7
        return b"\xff" * (size // 255) + bytes([size % 255]) + frame[7:]


class SecondTrack(Aac):
    first = ["m=audio 0 RTP/AVP 111", "a=rtpmap:111 SPEEX/16000", "a=control:trackID=3"]


@pytest.mark.parametrize("script", [Aac, AdtsWithoutUnitHeaders, NoFmtp, NoConfig, LatmWithEmptyConfig, SecondTrack])
def test_rtsp(shared_gateway, adts, script):
    with ScriptedCamera(script(adts)) as camera:
        assert_tone(shared_gateway, camera.url())


class Unsupported(Aac):
    rtpmap, fmtp = "SPEEX/16000", None


class Encrypted(Aac):
    def audio_sdp(self):
        return [line.replace("RTP/AVP", "RTP/SAVP") for line in super().audio_sdp()]


@pytest.mark.parametrize("script,why", [(Unsupported, "unsupported_codec"), (Encrypted, "encrypted")])
def test_why_rtsp_has_no_sound(gateway, adts, script, why):
    with ScriptedCamera(script(adts)) as camera:
        with gateway.view(camera.url()) as viewer:
            viewer.wait_frames(5)
            wait_why_no_sound(gateway, camera.url(), why)
    assert not viewer.flv.has_audio and len(lines_about_sound(gateway)) == 1, gateway.log()


# --- RTMP and HTTP-FLV ----------------------------------------------------------------------------

@pytest.mark.parametrize("config,head,headers", [
    (AAC_CONFIG, AAC_HEAD, False), (None, AAC_HEAD, True),
    (b"\x90mp4a\x14\x08", b"\x91mp4a", False), (b"\x95\x00mp4a\x00\x14\x08", b"\x95\x01mp4a\x00", False),
    (b"\x95\x20spex\0\0\0\1\1mp4a\1\0\0\2\x14\x08", b"\x95\x01mp4a\x01", False)],
    ids=["as it should be", "ADTS without a sequence header", "enhanced", "enhanced, numbered track",
         "the first of two tracks cannot be decoded"])
def test_rtmp(shared_gateway, adts, config, head, headers):
    with camera_with(aac_frames(adts, headers), config, head) as camera:
        assert_tone(shared_gateway, rtmp_url(camera))


def encode_tone(encoder, *options):
    """-> (extradata, [(ms, packet)]) of some seconds of the tone at 48 kHz."""
    data = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
                           "-t", "14", "-ac", "1", "-c:a", encoder, *options, "-f", "matroska", "-"],
                          check=True, stdout=subprocess.PIPE, timeout=60).stdout
    found = json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_packets", "-show_streams", "-show_data", "-of",
                                       "json", "-"], input=data, check=True, stdout=subprocess.PIPE,
                                      timeout=60).stdout)

    def of_dump(text):
        return bytes.fromhex("".join(line[10:50] for line in text.strip().splitlines()).replace(" ", ""))
    packets = [(max(0, int(float(p["pts_time"]) * 1000)), of_dump(p["data"])) for p in found["packets"]]
    return of_dump(found["streams"][0].get("extradata", "")), packets


@pytest.mark.parametrize("encoder,options,fourcc,before", [
    ("libopus", (), b"Opus", b""), ("flac", (), b"fLaC", b"fLaC\x80\0\0\x22"), ("ac3", (), b"ac-3", None),
    ("eac3", (), b"ec-3", None), ("libmp3lame", (), b".mp3", None)])
def test_enhanced_rtmp(shared_gateway, encoder, options, fourcc, before):
    """Codecs with a four-letter name; before stands before FFmpeg's extradata, None: no sequence header."""
    extradata, packets = encode_tone(encoder, *options)
    config = None if before is None else b"\x90" + fourcc + before + extradata
    with camera_with(packets, config, b"\x91" + fourcc) as camera:
        assert_tone(shared_gateway, rtmp_url(camera))


class AggregatingRtmp(PlayingRtmp):
    """Messages of type 22 with ten tags in each, at a time that is not theirs (Adobe RTMP 1.0, 7.1.6).  first: one of
    another type comes before them."""

    first = True

    def play(self, peer):
        metadata, *tags = flv_tags(self.flv)
        if self.first:
            peer.sendall(message(metadata[0], metadata[2], 0, MEDIA_STREAM, 1))
        for at in range(0, len(tags), 10):
            some = tags[at:at + 10]
            self.wait_until(some[0][1])
            body = b"".join(flv_tag(kind, ms, body) for kind, ms, body in some)
            peer.sendall(message(22, body, some[0][1] + 7000, MEDIA_STREAM, 1))


def test_aggregates_over_rtmp(shared_gateway, adts):
    with camera_with(aac_frames(adts), AAC_CONFIG, AAC_HEAD, 0, on_meta_data(10), AggregatingRtmp) as camera:
        assert_tone(shared_gateway, rtmp_url(camera))


class AggregatesAlone(AggregatingRtmp):
    first = False


def test_aggregates_alone_over_rtmp(shared_gateway, adts):
    """No message of another type comes, for which libavformat would wait."""
    with camera_with(aac_frames(adts), AAC_CONFIG, AAC_HEAD, 0, on_meta_data(10), AggregatesAlone) as camera:
        assert_tone(shared_gateway, rtmp_url(camera))


def test_aggregates_over_http(shared_gateway, adts):
    """Messages of type 22, as some servers pass them on: ten tags in each."""
    start, tags = flv_with(aac_frames(adts), AAC_CONFIG, AAC_HEAD)
    tags = tags[1:]  # without metadata
    aggregates = [(int.from_bytes(tags[i][4:7], "big"), b"".join(tags[i:i + 10])) for i in range(0, len(tags), 10)]
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(start)
            began = time.monotonic()
            for time_ms, data in aggregates:
                if ended.wait(max(0, began + time_ms / 1000 - time.monotonic())):
                    return
                self.wfile.write(flv_tag(22, time_ms, data))

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # clients that hang up
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert_tone(shared_gateway, f"http://127.0.0.1:{server.server_port}/camera.flv")
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def test_hevc_under_the_number_of_h264(shared_gateway):
    """Old OBS."""
    media = sliced_media("hevc", slices=1)
    with PlayingRtmp(flv_file(media, codec_id=7)) as camera:
        with shared_gateway.view(f"rtmp://127.0.0.1:{camera.port}/live/camera") as viewer:
            viewer.wait_frames(30)
    assert viewer.flv.video_configs[0].codec == "hevc"


# --- sound that comes late, or never --------------------------------------------------------------

LATE_MS = 3000


def test_promised_sound_comes_late(gateway, adts):
    """Viewers get silence in its place, then the sound, on one connection; one line in the log says so."""
    with camera_with(aac_frames(adts), AAC_CONFIG, AAC_HEAD, LATE_MS, on_meta_data(10)) as camera:
        url = rtmp_url(camera)
        with gateway.view(url) as early:
            early.wait(lambda v: v.flv.audio, 30, "silence")
            assert len(early.flv.audio_configs) == 1
            wait_why_no_sound(gateway, url, "not_received")
            wait_why_no_sound(gateway, url, None)
            with gateway.view(url) as late:
                late.wait(lambda v: len(v.flv.audio) > 50, 30, "sound")
            assert len(early.flv.audio_configs) == 2
            assert not early.closed_by_server
    for viewer in (early, late):
        viewer.flv.check()
        assert_tone_in(viewer.flv)
    pictures = [frame.pictures()[0] for frame in early.flv.video]
    units = [unit for unit in sliced_media(slices=1).slices()] * 3
    first = units.index(pictures[0])
    assert pictures == units[first:first + len(pictures)], "pictures are missing where the sound began"
    assert len(lines_about_sound(gateway)) == 1, gateway.log()


def test_sound_that_nobody_promised_comes_late(make_gateway, adts):
    """Whoever plays is ended cleanly, since no player takes a further track; whoever asks again hears it."""
    gateway = make_gateway(QUICK.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 30000"))  # the camera begins without sound
    with camera_with(aac_frames(adts), AAC_CONFIG, AAC_HEAD, LATE_MS) as camera:
        with gateway.view(rtmp_url(camera)) as early:
            early.wait_frames(5)
            wait_why_no_sound(gateway, rtmp_url(camera), "not_announced")
            early.wait_closed(30)
            assert not early.flv.has_audio and early.flv.rest == 0
        assert_tone(gateway, rtmp_url(camera))


@pytest.mark.parametrize("config,head,metadata,why", [
    (None, b"\xb2", b"", "unsupported_codec"), (None, b"\x91spex", b"", "unsupported_codec"),
    (b"\xae\0\xff\xff", b"\xae\1", b"", "unreadable"), (None, None, on_meta_data(10), "not_received")],
    ids=["Speex", "an unknown FourCC", "a broken configuration", "promised, never sent"])
def test_why_rtmp_has_no_sound(gateway, adts, config, head, metadata, why):
    with camera_with(aac_frames(adts) if head else [], config, head, metadata=metadata) as camera:
        with gateway.view(rtmp_url(camera)) as viewer:
            viewer.wait_frames(5)
            wait_why_no_sound(gateway, rtmp_url(camera), why)
            viewer.wait_more(50)
    assert viewer.flv.has_audio == (why == "not_received")
    assert len(lines_about_sound(gateway)) == 1, gateway.log()
