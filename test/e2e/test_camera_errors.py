"""A camera that refuses, rejects, does not know, sends nothing or has no video: each gets its own status."""
import time

import pytest

from conftest import QUICK
from lib.gateway import free_port
from lib.listener import Listener
from lib.wait import holds_for


def assert_error(answer, status, code, host="127.0.0.1"):
    assert (answer.status, answer.code) == (status, code), (answer.status, answer.body)
    assert host in answer.error["camera"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["connection"] == "close"
    return answer


class Silent(Listener):
    """Takes connections and never says a word."""

    def serve(self, sock):
        while sock.recv(4096):
            pass


@pytest.fixture
def silent_listener():
    with Silent() as listener:
        yield listener.port


@pytest.mark.parametrize("scheme,parameters", [
    ("rtsp", {}), ("rtsp", {"cam_type": "rtsp-udp"}), ("rtmp", {}), ("rtmps", {}), ("rtsps", {})])
def test_refused(gateway, scheme, parameters):
    started = time.monotonic()
    assert_error(gateway.get(f"{scheme}://127.0.0.1:{free_port()}/myapp/cam", **parameters), 502,
                 "camera_unreachable")
    assert time.monotonic() - started < 10  # at once, not at the deadline (4 s, if the machine is busy)


def test_unknown_host_name(gateway):
    assert_error(gateway.get("rtsp://no-such-host.invalid/cam"), 502, "camera_unreachable", "no-such-host.invalid")


@pytest.mark.parametrize("auth", ["digest", "basic"])
def test_wrong_password_and_no_second_try(gateway, make_camera, auth):
    """Cameras lock accounts after a few failures: one try, then the refusal is remembered."""
    camera = make_camera(user="admin", password="right-1", auth=auth)
    gateway.secrets += ["right-1", "wrong-1"]
    wrong = camera.url(user="admin", password="wrong-1")
    answer = assert_error(gateway.get(wrong), 502, "camera_unauthorized")
    assert answer.error["camera"] == f"rtsp://***@127.0.0.1:{camera.port}/cam"
    tries = len(camera.logins())
    assert tries == 1, camera.requests
    for _ in range(3):
        assert_error(gateway.get(wrong), 502, "camera_unauthorized")
    holds_for(lambda: len(camera.logins()) == tries, 3, "no further login at the camera")
    # The right password is another URL, hence another try.
    with gateway.view(camera.url(user="admin", password="right-1")) as viewer:
        viewer.wait_frames(3)
    assert camera.plays == 1


def test_password_wanted_and_none_given(gateway, make_camera):
    camera = make_camera(user="admin", password="right-1")
    assert_error(gateway.get(camera.url()), 502, "camera_unauthorized")


def test_unknown_path(gateway, make_camera):
    camera = make_camera(paths=["/cam"])
    assert_error(gateway.get(camera.url("/nothing-here")), 502, "camera_not_found")
    with gateway.view(camera.url("/cam")) as viewer:  # the camera itself is fine
        viewer.wait_frames(2)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_never_answers(gateway, silent_listener, scheme):
    started = time.monotonic()
    assert_error(gateway.get(f"{scheme}://127.0.0.1:{silent_listener}/myapp/cam"), 504, "camera_timeout")
    assert 3 < time.monotonic() - started < 30  # connect_timeout_ms = 4000


def test_answers_and_sends_nothing(gateway, make_camera):
    camera = make_camera(silent="play")
    assert_error(gateway.get(camera.url()), 504, "camera_timeout")


def test_sends_audio_only_though_video_is_announced(gateway, make_camera):
    """Audio packets are no sign of a picture: the deadline holds."""
    from lib import fake_rtsp

    class NoPictures(fake_rtsp.Media):
        def __init__(self, other):
            self.codec, self.parameter_sets = other.codec, other.parameter_sets
            self.units = [[]]  # a frame without packets
    camera = make_camera(NoPictures(fake_rtsp.media()))
    assert_error(gateway.get(camera.url()), 504, "camera_timeout")
    assert camera.sounds_sent > 10


def test_no_video(gateway, make_camera):
    camera = make_camera(None, audio=True)
    assert_error(gateway.get(camera.url()), 502, "camera_no_video")


def test_everybody_who_waits_gets_the_error(gateway, silent_listener):
    viewers = [gateway.view(f"rtsp://127.0.0.1:{silent_listener}/cam") for _ in range(5)]
    try:
        assert [viewer.wait_status() for viewer in viewers] == [504] * 5
    finally:
        for viewer in viewers:
            viewer.close()


def test_head_of_a_dead_camera(gateway):
    answer = gateway.get(f"rtsp://127.0.0.1:{free_port()}/cam", method="HEAD")
    assert answer.status in (200, 502) and answer.body == b""


def test_bad_cameras_do_not_disturb_good_ones(make_gateway, make_camera, silent_listener):
    gateway = make_gateway(QUICK)
    good, refusing = make_camera(), make_camera(user="a", password="b-password")
    with gateway.view(good.url()) as viewer:
        viewer.wait_frames(10)
        for url in (refusing.url(), f"rtsp://127.0.0.1:{free_port()}/", f"rtmp://127.0.0.1:{silent_listener}/a/b"):
            gateway.get(url)
        viewer.wait_more(10)
    viewer.flv.check()
    loop = good.video.slices()
    got = [frame.pictures()[0] for frame in viewer.flv.video]
    first = loop.index(got[0])
    assert got == [loop[(first + n) % len(loop)] for n in range(len(got))]
