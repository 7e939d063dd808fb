"""Cameras that are joined long before their next key frame: connected they stay, and are asked for one."""
import json
import re
import struct
import time

import pytest

from conftest import QUICK
from lib import gst_server
from lib.fake_rtsp import FPS, media
from lib.http import request
from lib.nginx_rtmp import NginxRtmp
from lib.scripted_rtsp import VIDEO_SSRC, Script, ScriptedCamera

PATIENT = QUICK.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 30000")
GOP = 300


def feedback(camera):
    """The formats of the payload-specific feedback (RFC 4585) about the picture that came to a scripted camera."""
    formats = []
    for channel, data in list(camera.rtcp):
        while channel == 1 and len(data) >= 16:
            size = 4 + 4 * struct.unpack(">H", data[2:4])[0]
            if data[1] == 206:
                assert struct.pack(">I", VIDEO_SSRC) in (data[8:12], data[12:16])
                formats.append(data[0] & 0x1F)
            data = data[size:]
    return formats


class Running(Script):
    """An encoder that runs whether or not somebody looks: every session joins where it is.  Begins a second after a
    key frame, the next is eleven seconds away; heeds: it makes one when it is asked."""
    speed = 1
    heeds = False
    camera = None

    def __init__(self):
        super().__init__(media(seconds=GOP // FPS, gop=GOP))
        self.begun = time.monotonic() - 1

    def frames(self):
        heard = 0
        while True:
            if self.heeds and len(feedback(self.camera)) > heard:
                heard, self.begun = len(feedback(self.camera)), time.monotonic()
            yield int((time.monotonic() - self.begun) * FPS) % GOP


def ask_again(gateway, camera):
    """-> a viewer that has 20 pictures, or None: it got 504."""
    with gateway.view(camera.url()) as viewer:
        try:
            return viewer.wait_frames(20)
        except AssertionError:
            assert viewer.status == 504, (viewer.status, viewer.body)
            return None


def test_gop_joined_in_the_middle(make_gateway):
    """While pictures come the camera stays connected; who asks again finds it so."""
    script = Running()
    gateway = make_gateway(PATIENT)
    with ScriptedCamera(script) as camera:
        began = time.monotonic()
        answer = gateway.get(camera.url())
        assert (answer.status, answer.code) == (504, "camera_timeout")
        assert re.fullmatch(r"no key frame yet, \d+ pictures/s arrive", answer.error["message"])
        assert 4 < time.monotonic() - began < 9
        streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
        assert [s["state"] for s in streams] == ["connecting"]
        while not (viewer := ask_again(gateway, camera)):
            assert time.monotonic() - began < GOP / FPS + 8
        viewer.flv.check()
        assert time.monotonic() - began < GOP / FPS + 8
        assert len(camera.sessions) == 1 and not camera.asked("TEARDOWN")


def test_camera_is_asked_for_a_key_frame(make_gateway):
    """By RTCP, although the description says RTP/AVP: PLI and FIR."""
    script = Running()
    script.heeds = True
    with ScriptedCamera(script) as camera:
        script.camera = camera
        with make_gateway(PATIENT).view(camera.url()) as viewer:
            viewer.wait_frames(20)
        viewer.flv.check()
        assert feedback(camera)[:2] == [1, 4]


@pytest.mark.skipif(gst_server.missing() is not None, reason=str(gst_server.missing()))
@pytest.mark.parametrize("profile", ["AVP", "AVPF"])
@pytest.mark.parametrize("cam_type", ["rtsp-tcp", "rtsp-udp"])
def test_gstreamer_joined_in_the_middle(make_gateway, profile, cam_type):
    """A key frame every minute, and somebody who watches already.  GStreamer makes one for each PLAY, too; what counts
    here is that it takes our SETUP, whatever profile it announces, and our RTCP."""
    gateway, other = make_gateway(PATIENT), make_gateway(PATIENT)
    with gst_server.GstServer(None, gst_server.h264(60 * FPS), profile) as server:
        with other.view(server.url, cam_type=cam_type) as first:
            first.wait_frames(2 * FPS, 30)
            keys = sum(frame.key for frame in first.flv.video)
            with gateway.view(server.url, cam_type=cam_type) as second:
                second.wait_frames(20, 30)
            first.wait_more(FPS)
            assert sum(frame.key for frame in first.flv.video) > keys


@pytest.mark.parametrize("options", ["", "wait_key on;", "wait_key on; wait_video on;"])
def test_rtmp_key_frame_far_away(make_gateway, options):
    """nginx-rtmp, a publisher with a key frame every ten seconds: sound comes at once, the first picture with it."""
    patient = "[camera]\nconnect_timeout_ms = 30000\n"  # a busy machine encodes ten seconds in more than that
    gateway = make_gateway(patient)
    with NginxRtmp(options) as server:
        server.publish("cam", 10 * FPS)
        first = gateway.view(server.url("cam"))
        with first:
            first.wait_frames(5, 40)
            # The key frame was now: who comes to a server of his own a second later waits nine.
            first.wait_frames(25, 40)
        other = make_gateway(patient)
        with other.view(server.url("cam")) as viewer:
            viewer.wait_frames(20, 40)
        viewer.flv.check()
        assert "camera_no_video" not in other.log()
