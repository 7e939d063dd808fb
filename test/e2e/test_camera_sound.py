"""Sound as cameras and servers describe it wrongly, or not at all: what viewers hear is the tone that was sent."""
import http.server
import struct
import subprocess
import threading

import numpy as np
import pytest

from lib.fake_rtmp import PlayingRtmp
from lib.scripted_rtsp import Script, ScriptedCamera
from lib.sliced import flv_file, flv_tag, sliced_media
from lib.tone import dominant_tone

TONE_HZ, RATE, FRAME = 1000, 16000, 1024


@pytest.fixture(scope="module")
def adts():
    """Some seconds of the tone: AAC frames with ADTS headers of 7 bytes."""
    data = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                           f"sine=frequency={TONE_HZ}:sample_rate={RATE}", "-t", "16", "-ac", "1", "-c:a", "aac",
                           "-b:a", "32k", "-f", "adts", "-"], check=True, stdout=subprocess.PIPE, timeout=60).stdout
    frames = []
    while data:
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        frames.append(data[:size])
        data = data[size:]
    return frames


def assert_tone(gateway, url):
    with gateway.view(url) as viewer:
        viewer.wait(lambda v: len(v.flv.audio) > 60, 30, "sound")
    pcm = subprocess.run(["ffmpeg", "-v", "error", "-f", "aac", "-i", "-", "-ac", "1", "-ar", str(RATE), "-f", "s16le",
                          "-"], input=viewer.flv.adts(), stdout=subprocess.PIPE, check=True, timeout=60).stdout
    samples = np.frombuffer(pcm, np.int16)[RATE:]
    frequency, purity = dominant_tone(samples, RATE)
    assert frequency == pytest.approx(TONE_HZ, abs=5) and purity > 0.9, (frequency, purity, len(samples))


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
def test_rtsp(gateway, adts, script):
    with ScriptedCamera(script(adts)) as camera:
        assert_tone(gateway, camera.url())


# --- RTMP and HTTP-FLV ----------------------------------------------------------------------------

def flv_with(adts, config, head, headers=False, audio_from_ms=0):
    """A recording with sound: config is the body of its sequence header or None, head what stands before a frame."""
    flv = flv_file(sliced_media(slices=1), rounds=3)
    video, at = [], 13
    while at < len(flv):
        size = int.from_bytes(flv[at + 1:at + 4], "big") + 15
        video.append((int.from_bytes(flv[at + 4:at + 7], "big"), 0, flv[at:at + size]))
        at += size
    sound = [(audio_from_ms, 1, flv_tag(8, audio_from_ms, config))] if config else []
    for i, frame in enumerate(adts):
        ms = i * FRAME * 1000 // RATE
        if audio_from_ms <= ms < video[-1][0]:
            sound.append((ms, 2, flv_tag(8, ms, head + (frame if headers else frame[7:]))))
    return flv[:13], [tag for _, _, tag in sorted(video + sound, key=lambda t: t[:2])]


@pytest.mark.parametrize("config,head,headers", [
    (b"\xae\x00\x14\x08", b"\xae\x01", False), (None, b"\xae\x01", True),
    (b"\x90mp4a\x14\x08", b"\x91mp4a", False), (b"\x95\x00mp4a\x00\x14\x08", b"\x95\x01mp4a\x00", False)],
    ids=["as it should be", "ADTS without a sequence header", "enhanced", "enhanced, numbered track"])
def test_rtmp(gateway, adts, config, head, headers):
    start, tags = flv_with(adts, config, head, headers)
    with PlayingRtmp(start + b"".join(tags)) as camera:
        assert_tone(gateway, f"rtmp://127.0.0.1:{camera.port}/live/camera")


def test_aggregates_over_http(gateway, adts):
    """Messages of type 22, as some servers pass them on: ten tags in each."""
    start, tags = flv_with(adts, b"\xae\x00\x14\x08", b"\xae\x01")
    body = start + b"".join(flv_tag(22, int.from_bytes(tags[i][4:7], "big"), b"".join(tags[i:i + 10]))
                            for i in range(0, len(tags), 10))
    ended = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            for at in range(0, len(body), 8192):
                self.wfile.write(body[at:at + 8192])
                if ended.wait(0.1):
                    return

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # clients that hang up
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        assert_tone(gateway, f"http://127.0.0.1:{server.server_port}/camera.flv")
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def test_hevc_under_the_number_of_h264(gateway):
    """Old OBS."""
    media = sliced_media("hevc", slices=1)
    with PlayingRtmp(flv_file(media, codec_id=7)) as camera:
        with gateway.view(f"rtmp://127.0.0.1:{camera.port}/live/camera") as viewer:
            viewer.wait_frames(30)
    assert viewer.flv.video_configs[0].codec == "hevc"
