"""More than one gateway: behind the proxies with their configurations of docs/, and one as the camera of another."""
import os
import signal

import pytest

from conftest import QUICK
from lib.balancer import HAProxy, Nginx
from lib.fake_rtsp import FPS
from lib.flv import FlvReader
from lib.http import Viewer, stream_target
from lib.wait import wait_for
from lib.websocket import BINARY, WebSocket

CAMERAS, NAMED, VIEWERS = 10, 5, 50


class Cluster:
    """Two gateways, the balancer in front of them, and cameras."""

    def __init__(self, gateways, balancer, cameras):
        self.gateways, self.balancer, self.cameras = gateways, balancer, cameras

    def target(self, n, path="/", spelling=0, **parameters):
        """Of camera n.  The first are asked for by name: what a name's hash is does not depend on ports, so it is
        certain that both gateways get some.  The others are asked for by URL."""
        if n < NAMED:
            return path + "?" + "&".join([f"cam=camera-{n}"] + [f"{k}={v}" for k, v in parameters.items()])
        raw = self.balancer.decodes and spelling % 2 == 1
        return stream_target(self.cameras[n].url(), raw=raw, path=path, **parameters)

    def join(self, n, spelling=0):
        """A viewer; another spelling or other wishes: the same camera, the same gateway."""
        wishes = {"audio": "none"} if spelling % 3 == 2 else {}
        return Viewer(self.balancer.flv_port, self.target(n, spelling=spelling, **wishes))

    def snapshots(self):
        for n in range(CAMERAS):
            answer = self.balancer.ask(self.target(n, "/snapshot"))
            assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg"), (
                f"camera {n}: {answer.body!r:.300}\n{self.balancer.log()[-2000:]}\n{self.gateways[1].log()[-3000:]}")


@pytest.fixture(params=[HAProxy, Nginx], ids=["haproxy", "nginx"])
def cluster(request, make_gateway, make_camera, tmp_path):
    if not os.path.exists(request.param.program):
        pytest.skip(f"{request.param.program} is not installed")
    cameras = [make_camera() for _ in range(CAMERAS)]
    # Not QUICK's stall time: ten cameras in one test process may pause for that long on a busy machine,
    # and a camera that is connected again is what the test counts.
    config = QUICK.replace("stall_timeout_ms = 4000", "stall_timeout_ms = 10000")
    config += "".join(f'[camera "camera-{n}"]\nurl = {camera.url()}\n' for n, camera in enumerate(cameras[:NAMED]))
    gateways = [make_gateway(config) for _ in range(2)]
    directory = tmp_path / "balancer"
    directory.mkdir()
    balancer = request.param(directory, gateways)
    try:
        wait_for(balancer.healthy, 30, lambda: f"the balancer to answer:\n{balancer.log()}")
        yield Cluster(gateways, balancer, cameras)
    finally:
        balancer.close()
    # Where viewers are logged, what they asked for is not: URLs hold passwords.
    assert not any(text in balancer.log() for text in ("cam=", "cam_url", "rtsp:")), balancer.log()


def test_each_camera_once_and_a_gateway_dies(cluster):
    viewers = [(n % CAMERAS, n // CAMERAS, cluster.join(n % CAMERAS, n // CAMERAS)) for n in range(VIEWERS)]
    try:
        for _, _, viewer in viewers:
            viewer.wait_frames(5, deadline=120)
        # Snapshots are made where the camera is; both gateways work.
        cluster.snapshots()
        assert [camera.connections for camera in cluster.cameras] == [1] * CAMERAS
        assert [camera.plays for camera in cluster.cameras] == [1] * CAMERAS
        victim, other = cluster.gateways
        lost = len(victim.busy_workers())
        assert 0 < lost < CAMERAS and lost + len(other.busy_workers()) == CAMERAS

        os.killpg(victim.pid, signal.SIGKILL)
        victim.process.wait()
        wait_for(lambda: any(viewer.closed_by_server for _, _, viewer in viewers), 30, "viewers to be closed")
        seen = {viewer: len(viewer.flv.video) for _, _, viewer in viewers}

        def moved():
            """Who was closed comes again, as players do.  All play: they have got more than was on its way."""
            for place, (n, spelling, viewer) in enumerate(viewers):
                if viewer.closed_by_server:
                    viewer.stop()
                    viewers[place] = (n, spelling, cluster.join(n, spelling))
            return all(viewer.status == 200 and len(viewer.flv.video) > seen.get(viewer, 0) + FPS
                       for _, _, viewer in viewers)
        wait_for(moved, 60, "all viewers to play through the other gateway", interval=0.3)
        cluster.snapshots()
        assert len(other.busy_workers()) == CAMERAS
        assert sum(camera.plays for camera in cluster.cameras) == CAMERAS + lost
    finally:
        for _, _, viewer in viewers:
            viewer.stop()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_websocket(cluster, tls):
    """By the proxy's TLS, which is off in the documents, too."""
    balancer = cluster.balancer
    port, context = (balancer.tls_port, balancer.tls) if tls else (balancer.flv_port, None)
    with WebSocket(port, cluster.target(0), tls=context) as ws:
        assert ws.status == 101
        flv = FlvReader()
        while len(flv.video) < 30:
            flv.feed(ws.wait_for(BINARY))
    assert cluster.cameras[0].plays == 1


def test_operations_are_not_for_viewers(cluster):
    """Status, metrics and the API are of one gateway."""
    for path in ("/metrics", "/api/streams", "/api/cameras", "/api/streams/camera-0"):
        assert cluster.balancer.ask(path).status == 404, path
    assert cluster.balancer.ask("/api/streams/camera-0", method="DELETE").status == 404


def test_a_gateway_is_drained(cluster):
    """SIGTERM: its viewers are closed at a tag's end, the next ones are for the other gateway."""
    with cluster.join(0) as viewer:
        viewer.wait_frames(5)
        first, other = sorted(cluster.gateways, key=lambda g: not g.busy_workers())
        first.process.send_signal(signal.SIGTERM)
        viewer.wait_closed()

    def plays_again():
        """Players come again: until the balancer has seen the drain, the answer may be an error.

        503 is the draining gateway's own; 502 is the balancer's when the gateway leaves (or is marked
        down) between the request and the answer, 504 when it takes long to.
        """
        with cluster.join(0) as again:
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
