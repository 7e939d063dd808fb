"""The RTSP session inside the gateway: transports, TLS, loss, as a viewer sees them.

What single cameras do wrong is in test_rtsp_dialogue and test_rtsp_media, against the source alone; this is one test of
each kind through all processes and the sandbox.
"""
import os
import random
import re
import socket
import time

import pytest

from conftest import QUICK
from lib.fake_rtsp import FPS
from lib.http import Viewer, request
from lib.scripted_rtsp import Script, ScriptedCamera, certificate
from lib.wait import wait_for


class RealTime(Script):
    speed = 1


class Locked(RealTime):
    user, password = "admin", "s:e@c/r?e#t%"
    login = "admin:s%3Ae%40c%2Fr%3Fe%23t%25@"
    schemes = ("Basic", "MD5", "SHA-256")


@pytest.mark.parametrize("cam_type", ["rtsp-tcp", "rtsp-udp"])
def test_a_stream_and_its_teardown(gateway, cam_type):
    with ScriptedCamera(Locked()) as camera:
        url = camera.url(login=Locked.login)
        gateway.secrets.append(Locked.password)
        with gateway.view(url, cam_type=cam_type) as viewer:
            viewer.wait_frames(25)
            assert viewer.flv.audio
        word = "client_port=" if cam_type == "rtsp-udp" else "interleaved="
        assert word in camera.asked("SETUP")[0].get("Transport")
        wait_for(lambda: camera.asked("TEARDOWN"), 20, "TEARDOWN when nobody watches any more")


def test_rtsps(make_gateway, tmp_path):
    tls, ca = certificate(tmp_path)
    gateway = make_gateway(QUICK, env={"SSL_CERT_FILE": ca}, secrets=[Locked.password])
    with ScriptedCamera(Locked(), tls) as camera:
        with gateway.view(camera.url(login=Locked.login)) as viewer:
            viewer.wait_frames(25)


def test_rtsps_with_an_unknown_certificate(gateway, tmp_path):
    tls, _ = certificate(tmp_path)
    with ScriptedCamera(Locked(), tls) as camera:
        answer = gateway.get(camera.url(login=Locked.login))
        assert (answer.status, answer.code) == (502, "camera_unreachable")
        assert not camera.requests


def test_rtsps_with_a_certificate_of_its_own(make_gateway, tmp_path):
    """Most cameras sign their own: tls_verify = no takes it."""
    tls, _ = certificate(tmp_path)
    gateway = make_gateway(QUICK + "tls_verify = no\n", secrets=[Locked.password])
    with ScriptedCamera(Locked(), tls) as camera:
        with gateway.view(camera.url(login=Locked.login)) as viewer:
            viewer.wait_frames(25)


def test_udp_that_stays_silent(gateway):
    """TCP takes over; when the camera comes back, TCP is tried first."""
    class Silent(RealTime):
        def datagrams(self, session, track, packets):
            return [] if session.udp else packets
    with ScriptedCamera(Silent()) as camera:
        with gateway.view(camera.url(), cam_type="rtsp-udp") as viewer:
            viewer.wait_frames(25)
            camera.sessions[-1].sock.shutdown(socket.SHUT_RDWR)
            viewer.wait_more(25)
    wanted = [r.get("Transport") for r in camera.asked("SETUP")]
    assert ["client_port" in w for w in wanted] == [True, True, False, False, False, False]


@pytest.mark.parametrize("loss", [0, 0.01, 0.05])
def test_udp_loss_and_reordering(gateway, loss):
    """No frame is lost that arrived whole; nothing stops."""
    class Lossy(RealTime):
        mtu = 600
        whole = sent = 0

        def datagrams(self, session, track, packets):
            dice = session.__dict__.setdefault("dice", random.Random(11))
            kept = [p for p in packets if dice.random() >= loss]
            self.sent += track == "video"
            if track == "video" and len(kept) == len(packets):
                self.whole += 1
            dice.shuffle(kept)
            return kept
    script = Lossy()
    with ScriptedCamera(script) as camera:
        with gateway.view(camera.url(), cam_type="rtsp-udp") as viewer:
            viewer.wait_frames(25)
            seen, whole = len(viewer.flv.video), script.whole
            wait_for(lambda: script.whole - whole >= 4 * FPS, 30, "four seconds of whole frames")
            viewer.wait_frames(seen + int((script.whole - whole) * 0.9), 10)
        print(f"loss {loss:.0%}: {script.whole} of {script.sent} frames whole, "
              f"viewer got {len(viewer.flv.video)}")


# --- nobody watches ---------------------------------------------------------------------------------------------------

def sleeps(pid):
    """How often a process has gone to sleep, all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    return total


def sleeps_in(pid, seconds):
    before = sleeps(pid)
    time.sleep(seconds)
    return (sleeps(pid) - before) / seconds


@pytest.mark.parametrize("cam_type", ["rtsp-tcp", "rtsps", "rtsp-udp"])
def test_a_camera_that_nobody_watches_is_read_in_a_leisurely_way(make_gateway, tmp_path, cam_type):
    """Sixty packets a second become some looks a second; who comes has the newest picture all the same."""
    tls = cam_type == "rtsps"
    context, authority = certificate(tmp_path) if tls else (None, "")
    with ScriptedCamera(RealTime(), context) as camera:
        kind = "" if tls else f"type = {cam_type}\n"
        gateway = make_gateway(QUICK + f'[camera "door"]\nurl = {camera.url()}\n{kind}always_on = yes\n',
                               env={"SSL_CERT_FILE": authority} if tls else {})
        wait_for(lambda: camera.sessions and len(camera.sent) > 100, 20, "the camera to stream")
        worker, = gateway.worker_of(camera.port)
        idle = sleeps_in(worker, 3)
        answer = request(gateway.snapshot_port, "/snapshot?cam=door")
        assert answer.status == 200 and int(answer.headers["x-snapshot-age-ms"]) < 200
        with Viewer(gateway.flv_port, "/?cam=door&join=gop") as viewer:
            viewer.wait_frames(50)
            watched = sleeps_in(worker, 3)
            viewer.wait_more(20)
        assert idle < (20 if cam_type == "rtsp-udp" else 15) < watched, (idle, watched)
        flv = viewer.flv
        flv.check()
        assert all(30 <= b.dts - a.dts <= 50 for a, b in zip(flv.video, flv.video[1:])), "a picture is missing"
        assert len(camera.sessions) == 1
