"""More than one gateway: behind HAProxy with docs/haproxy.cfg, and one gateway as the camera of another."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import QUICK
from lib import processes
from lib.gateway import ROOT, free_port
from lib.http import Viewer, request, stream_target
from lib.wait import wait_for

HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
CAMERAS, VIEWERS = 10, 50

needs_haproxy = pytest.mark.skipif(not os.path.exists(HAPROXY), reason="haproxy is not installed")


def ask(balancer, target, **kwargs):
    """A request to the snapshot port; HAProxy would keep the connection."""
    return request(balancer.snapshot_port, target, headers={"Connection": "close"}, **kwargs)


class Balancer:
    """HAProxy with the configuration of docs/; only addresses and ports are the test's."""

    def __init__(self, directory, gateways):
        self.flv_port, self.snapshot_port = free_port(), free_port()
        with open(os.path.join(ROOT, "docs", "haproxy.cfg"), encoding="utf-8") as file:
            text = file.read()
        text = text.replace("bind :8005", f"bind 127.0.0.1:{self.flv_port}")
        text = text.replace("bind :8006", f"bind 127.0.0.1:{self.snapshot_port}")
        for n, gateway in enumerate(gateways, 1):
            for port, ours in ((8005, gateway.flv_port), (8006, gateway.snapshot_port)):
                text, count = re.subn(rf"server gateway-{n} 10\.0\.0\.1{n}:{port}",
                                      f"server gateway-{n} 127.0.0.1:{ours} check port {gateway.snapshot_port}", text)
                assert count == 1
        path = directory / "haproxy.cfg"
        path.write_text(text, encoding="utf-8")
        self._log_path = directory / "haproxy.log"
        self._log = open(self._log_path, "wb")
        self.process = subprocess.Popen([HAPROXY, "-db", "-f", str(path)], stdin=subprocess.DEVNULL,
                                        stdout=self._log, stderr=self._log, preexec_fn=processes.die_with_parent)

    def healthy(self):
        assert self.process.poll() is None, self.log()
        try:
            return ask(self, "/healthz", timeout=5).status == 200
        except OSError:
            return False

    def log(self):
        return self._log_path.read_text(errors="replace")

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self._log.close()


@pytest.fixture
def cluster(make_gateway, tmp_path):
    """Two gateways and the balancer in front of them."""
    # Not QUICK's stall time: ten cameras in one test process may pause for that long on a busy machine,
    # and a camera that is connected anew is what the test counts.
    patient = QUICK.replace("stall_timeout_ms = 1500", "stall_timeout_ms = 10000")
    gateways = [make_gateway(patient) for _ in range(2)]
    balancer = Balancer(tmp_path, gateways)
    try:
        wait_for(balancer.healthy, 30, "HAProxy to answer")
        yield gateways, balancer
    finally:
        balancer.close()


@needs_haproxy
def test_each_camera_once_and_a_gateway_dies(cluster, make_camera):
    gateways, balancer = cluster
    cameras = [make_camera() for _ in range(CAMERAS)]

    def join(camera, n):
        # Encoded, pasted, or with other wishes: the same camera, the same gateway.
        target = stream_target(camera.url(), raw=n % 3 == 1, **({"audio": "none"} if n % 3 == 2 else {}))
        return Viewer(balancer.flv_port, target)

    viewers = [(cameras[n % CAMERAS], n, join(cameras[n % CAMERAS], n)) for n in range(VIEWERS)]
    try:
        for _, _, viewer in viewers:
            viewer.wait_frames(5, deadline=120)
        assert [camera.connections for camera in cameras] == [1] * CAMERAS
        assert [camera.plays for camera in cameras] == [1] * CAMERAS
        # Both gateways work, and snapshots are made where the camera is.
        assert all(gateway.busy_workers() for gateway in gateways)
        for camera in cameras:
            answer = ask(balancer, stream_target(camera.url(), path="/snapshot"))
            assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        assert [camera.connections for camera in cameras] == [1] * CAMERAS
        assert ask(balancer, "/metrics").status == 404

        victim = gateways[0]
        lost = len(victim.busy_workers())
        assert 0 < lost < CAMERAS
        os.killpg(victim.pid, signal.SIGKILL)
        victim.process.wait()
        wait_for(lambda: any(viewer.closed_by_server for _, _, viewer in viewers), 30, "viewers to be closed")

        def moved():
            """Who was closed comes again, as players do."""
            for n, (camera, number, viewer) in enumerate(viewers):
                if viewer.closed_by_server:
                    viewer.stop()
                    viewers[n] = (camera, number, join(camera, number))
            return all(viewer.status == 200 and viewer.flv.video for _, _, viewer in viewers)
        wait_for(moved, 60, "all viewers to play through the other gateway", interval=0.3)
        for _, _, viewer in viewers:
            viewer.wait_more(5)
        assert len(gateways[1].busy_workers()) == CAMERAS
        assert sum(camera.plays for camera in cameras) == CAMERAS + lost
    finally:
        for _, _, viewer in viewers:
            viewer.stop()
    assert "cam_url" not in balancer.log() and "rtsp:" not in balancer.log()


@needs_haproxy
def test_a_gateway_is_drained(cluster, make_camera):
    """SIGTERM: its viewers are closed at a tag's end, the next ones are for the other gateway."""
    gateways, balancer = cluster
    camera = make_camera()
    with Viewer(balancer.flv_port, stream_target(camera.url())) as viewer:
        viewer.wait_frames(5)
        first, other = sorted(gateways, key=lambda g: not g.busy_workers())
        first.process.send_signal(signal.SIGTERM)
        viewer.wait_closed()

    def plays_again():
        """Players come again: until the health check has seen the drain, the answer may be an error.

        503 is the draining gateway's own; 502 is HAProxy's when the gateway leaves (or is marked
        down) between the request and the answer, 504 when it takes long to.
        """
        with Viewer(balancer.flv_port, stream_target(camera.url())) as again:
            if again.wait_status() in (502, 503, 504):
                return False
            again.wait_frames(5)
            return True
    wait_for(plays_again, 60, "a viewer to play through the other gateway", interval=0.3)
    assert other.busy_workers()
    assert first.process.wait(30) == 0


def test_chain(make_gateway, camera):
    """A gateway is a camera of another: one stream between them, however many viewers."""
    near, far = make_gateway(QUICK), make_gateway(QUICK)
    url = near.url(camera.url())
    viewers = [far.view(url) for _ in range(3)]
    try:
        for viewer in viewers:
            viewer.wait_frames(30)
            assert viewer.flv.video and viewer.flv.audio
        assert camera.connections == 1
        assert len(far.worker_of(near.flv_port)) == 1
    finally:
        for viewer in viewers:
            viewer.close()
    viewers[0].flv.check()
    loop = camera.video.slices()
    got = [frame.pictures()[0] for frame in viewers[0].flv.video]
    first = loop.index(got[0])
    assert got == [loop[(first + n) % len(loop)] for n in range(len(got))]
