"""A viewer's connection outlives its worker: the next one goes on in the same answer."""
import contextlib
import json
import os
import signal
import threading
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp, processes
from lib.flv import FlvReader
from lib.http import Viewer, connect, head_bytes, request, stream_target
from lib.wait import wait_for
from lib.websocket import BINARY, WebSocket

QUIET = {"ASAN_OPTIONS": "handle_segv=0:handle_abort=0", "TSAN_OPTIONS": "handle_segv=0:handle_abort=0"}
STEP_MAX_MS = 1000


class WebSocketViewer:
    """Reads in the background, as lib.http.Viewer does."""

    def __init__(self, port, cam_url=None, target=None):
        self.flv, self.failure, self.closed_by_server = FlvReader(), None, False
        self._stopped = False
        self._socket = WebSocket(port, target or stream_target(cam_url), timeout=60)
        if self._socket.status != 101:
            self._socket.__exit__()
        assert self._socket.status == 101
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stopped:
                kind, payload = self._socket.frame()
                assert kind == BINARY, kind
                self.flv.feed(payload, time.monotonic())
                assert self.flv.rest == 0, "a message ends within a tag"
        except EOFError:
            self.closed_by_server = not self._stopped
        except Exception as exception:
            self.failure = None if self._stopped else exception

    def check(self):
        if self.failure is not None:
            raise AssertionError(f"viewer: {self.failure!r}") from self.failure

    def stop(self):
        self._stopped = True
        self._socket.wake()
        self._thread.join()
        self._socket.__exit__()


@contextlib.contextmanager
def watching(*open_viewers):
    """Viewers, opened one after the other; none is left open, whatever fails."""
    with contextlib.ExitStack() as stack:
        viewers = []
        for open_viewer in open_viewers:
            viewers.append(open_viewer())
            stack.callback(viewers[-1].stop)
        yield viewers
    for viewer in viewers:
        viewer.check()


def audience(gateway, url):
    """One viewer for each way to watch."""
    return watching(lambda: gateway.view(url), lambda: gateway.view(url, need_audio="false"),
                    lambda: gateway.view(url, join="gop"), lambda: gateway.view(url, allow_h265="false"),
                    lambda: WebSocketViewer(gateway.flv_port, url))


def still_there(viewers):
    for viewer in viewers:
        viewer.check()
    return [viewer for viewer in viewers if not viewer.closed_by_server]


def wait_more(viewers, count):
    """Every one that is still there gets count more pictures. -> those"""
    wanted = {id(viewer): len(viewer.flv.video) + count for viewer in viewers}

    def served():
        return all(len(viewer.flv.video) >= wanted[id(viewer)] for viewer in still_there(viewers))
    wait_for(served, 60, lambda: f"{count} more pictures each: {[len(v.flv.video) for v in viewers]}")
    return still_there(viewers)


def assert_sound(viewer):
    """One stream: no step back, no step of over a second, no sequence header twice, sound beside the picture."""
    viewer.check()
    flv = viewer.flv
    flv.check()
    assert len(flv.video_configs) == 1 and flv.video
    for frames in (flv.video, flv.audio):
        steps = [after.dts - before.dts for before, after in zip(frames, frames[1:])]
        assert max(steps, default=0) <= STEP_MAX_MS, sorted(steps)[-3:]
    if flv.has_audio:
        assert abs(flv.audio[-1].dts - flv.video[-1].dts) < STEP_MAX_MS


def the_worker(gateway, camera):
    return wait_for(lambda: gateway.worker_of(camera.port), 30, "the camera's worker")[0]


def end_worker(gateway, camera, how):
    worker = the_worker(gateway, camera)
    with camera.pause(worker):
        os.kill(worker, how)
        wait_for(lambda: not processes.alive(worker), 40, "the worker to end")


def metric(gateway, name):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith("cam_httpflv_" + name))


@pytest.fixture
def patient(make_gateway):
    return make_gateway(QUICK, env=QUIET)


def test_websocket_that_waits_outlives_its_worker(patient, make_camera):
    """Its handshake was answered before, and is not answered again."""
    camera = make_camera()
    camera.muted.set()
    with watching(lambda: WebSocketViewer(patient.flv_port, camera.url())) as viewers:
        wait_for(lambda: camera.plays == 1, 30, "the camera to be connected")
        before = the_worker(patient, camera)
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: camera.plays == 2, 30, "the next worker")
        camera.muted.clear()
        assert len(wait_more(viewers, 3)) == 1


def test_viewers_outlive_their_workers(patient, make_camera):
    """By any signal; test_processes has one that hangs."""
    camera = make_camera()
    with audience(patient, camera.url()) as viewers:
        assert wait_more(viewers, 25) == viewers
        for how in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
            end_worker(patient, camera, how)
            assert wait_more(viewers, 50) == viewers, patient.log()[-3000:]
        assert camera.plays == 4
    for viewer in viewers:
        assert_sound(viewer)
    assert metric(patient, 'handovers_total{result="kept"}') == 3 * len(viewers)
    assert metric(patient, 'handovers_total{result="cut"}') == 0


def test_a_death_within_a_write_costs_one_viewer(patient, make_camera):
    """A worker writes to one viewer at a time: each death, at any time, cuts no more."""
    camera = make_camera()
    with watching(*[lambda: patient.view(camera.url())] * 10) as everybody:
        viewers = everybody
        wait_more(viewers, 25)
        for _ in range(4):
            worker = the_worker(patient, camera)
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda pid=worker: not processes.alive(pid), 40, "the worker to end")
            left = wait_more(viewers, 40)
            assert len(left) >= len(viewers) - 1, patient.log()[-3000:]
            viewers = left
    for viewer in everybody:
        assert_sound(viewer)


def test_waiting_clients_are_answered_by_the_next_worker(patient, make_camera):
    """A viewer, a snapshot and MJPEG: the camera sends nothing until the first worker has died."""
    camera = make_camera(silent="play")
    with patient.view(camera.url()) as viewer, \
            connect(patient.snapshot_port) as snapshot, connect(patient.snapshot_port) as mjpeg:
        snapshot.sendall(head_bytes(stream_target(camera.url(), path="/snapshot")))
        mjpeg.sendall(head_bytes(stream_target(camera.url(), path="/mjpeg")))
        wait_for(lambda: camera.plays, 30, "the camera to be asked")
        camera.silent = None
        end_worker(patient, camera, signal.SIGKILL)
        viewer.wait_frames(10)
        assert b" 200 " in snapshot.recv(64) and b" 200 " in mjpeg.recv(64)
    assert viewer.status == 200


def read_parts(sock, count):
    """So many pictures of MJPEG, to the end of the boundary after the last one."""
    data, boundary = b"", b"--cam-httpflv-picture\r\n"
    while data.count(boundary) <= count:
        chunk = sock.recv(65536)
        assert chunk, "MJPEG was closed"
        data += chunk
    assert data.endswith(boundary)
    return data


def test_pictures_go_on(patient, camera):
    """MJPEG between two parts, and a connection that is kept between two requests."""
    with connect(patient.snapshot_port, 60) as mjpeg, connect(patient.snapshot_port, 60) as kept:
        mjpeg.sendall(head_bytes(stream_target(camera.url(), path="/mjpeg", fps=2)))
        read_parts(mjpeg, 2)
        ask = head_bytes(stream_target(camera.url(), path="/snapshot"), headers={"Connection": "keep-alive"})
        answers = kept.makefile("rb")
        assert read_snapshot(kept, answers, ask).startswith(b"\xff\xd8")
        end_worker(patient, camera, signal.SIGKILL)  # within the second in which the worker keeps the connection
        assert read_snapshot(kept, answers, ask).startswith(b"\xff\xd8")
        assert b"HTTP/1.1" not in mjpeg.recv(1 << 20)


def read_snapshot(sock, answers, ask):
    sock.sendall(ask)
    length, line = None, answers.readline()
    assert b" 200 " in line, line
    while line not in (b"\r\n", b""):
        line = answers.readline()
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return answers.read(length)


def test_a_camera_that_kills_its_workers_loses_its_viewers(patient, make_camera):
    """Quarantine ends the row of successors, and the log says so."""
    camera = make_camera(silent="play")
    with patient.view(camera.url()) as viewer:
        for plays in (1, 2, 3):
            wait_for(lambda n=plays: camera.plays == n, 30, f"worker {plays} to connect")
            end_worker(patient, camera, signal.SIGKILL)
        viewer.wait_closed()
        assert viewer.status == 503
        assert b"the camera is quarantined" in viewer.body
    assert "quarantined: its workers died 3 times in a row" in patient.log()
    assert "1 clients are disconnected: the camera is quarantined" in patient.log()
    assert metric(patient, 'handovers_total{result="cut"}') == 0


# --- by request ---------------------------------------------------------------------------------------------------------


def restart(gateway, stream, headers=None):
    return request(gateway.snapshot_port, f"/api/streams/{stream}/restart", "POST", headers)


def the_stream(gateway):
    stream, = streams(gateway)
    return stream


def test_restart_keeps_the_viewers(patient, camera):
    """The camera's session is another one, all viewers are the same, nobody counts it as a death."""
    with audience(patient, camera.url()) as viewers:
        wait_more(viewers, 25)
        for sessions in (2, 3):
            worker = the_worker(patient, camera)
            assert restart(patient, the_stream(patient)["id"]).status == 204
            wait_for(lambda pid=worker: not processes.alive(pid), 20, "the worker to make way")
            assert wait_more(viewers, 25) == viewers
            assert camera.plays == sessions
    for viewer in viewers:
        assert_sound(viewer)
    assert metric(patient, "worker_restarts_total") == 0
    assert metric(patient, 'handovers_total{result="kept"}') == 2 * len(viewers)


def test_restart_of_what_is_not_there(patient, camera):
    assert restart(patient, "nobody").code == "not_found"
    assert restart(patient, "x" * 200).code == "not_found"
    answer = request(patient.snapshot_port, "/api/streams/nobody/restart")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")
    assert request(patient.snapshot_port, "/api/streams/nobody", "POST").status == 405
    with patient.view(camera.url()) as viewer:
        viewer.wait_frames(2)
        stream = the_stream(patient)["id"]
        assert restart(patient, stream, {"Origin": "http://elsewhere"}).code == "origin_not_allowed"
        viewer.wait_more(5)
    assert camera.plays == 1


# --- another URL for a name ------------------------------------------------------------------------------------------------


def named(url, **more):
    return QUICK + "".join(f'[camera "{name}"]\nurl = {at}\n' for name, at in {"door": url, **more}.items())


def by_name(gateway):
    """One viewer for each way to watch, of cam=door."""
    return watching(lambda: Viewer(gateway.flv_port, "/?cam=door"),
                    lambda: Viewer(gateway.flv_port, "/?cam=door&audio=none"),
                    lambda: WebSocketViewer(gateway.flv_port, target="/?cam=door"))


def test_a_name_with_another_url_takes_its_viewers_along(make_gateway, make_camera):
    """Those who asked by name, in the same answers; those who asked for the old URL stay there."""
    old, new = make_camera(), make_camera()
    gateway = make_gateway(named(old.url()), env=QUIET)
    with by_name(gateway) as movers, gateway.view(old.url()) as stayer:
        wait_more([*movers, stayer], 25)
        gateway.reload(named(new.url()))
        wait_for(lambda: viewers_of(gateway, "door") == len(movers), 30, "the viewers to move")
        assert wait_more([*movers, stayer], 50) == [*movers, stayer]
        assert (old.plays, new.plays) == (2, 1)  # the old one anew, for who stays
    for viewer in [*movers, stayer]:
        assert_sound(viewer)


def streams(gateway):
    return json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]


def viewers_of(gateway, name):
    return sum(s["viewers"] for s in streams(gateway) if s["name"] == name)


def moving_from(gateway, camera):
    return next(s["moving"] for s in streams(gateway) if s["camera_url"] == camera.url())


def test_a_new_url_that_fails_costs_nothing(make_gateway, make_camera):
    """The old camera goes on, log and API say why; when the new one is there, a reload moves the viewers."""
    old, new = make_camera(), make_camera()
    new.close()
    gateway = make_gateway(named(old.url()), env=QUIET)
    with by_name(gateway) as movers:
        wait_more(movers, 25)
        for failures in (1, 2):
            gateway.reload(named(new.url()))
            wait_for(lambda n=failures: gateway.log().count("the new URL fails (camera_unreachable)") == n, 30,
                     lambda: f"the log to say so:\n{gateway.log()[-3000:]}")
            wait_for(lambda: moving_from(gateway, old) == "camera_unreachable", 30, "the API to say so")
            assert wait_more(movers, 25 * (2 - failures)) == movers
        assert old.plays == 1
        new.listen()
        gateway.reload(named(new.url()))  # while the worker that failed is still there
        wait_for(lambda: viewers_of(gateway, "door") == len(movers), 30,
                 lambda: f"the viewers to move:\n{gateway.log()[-3000:]}")
        assert wait_more(movers, 25) == movers
    for viewer in movers:
        assert_sound(viewer)


def test_viewers_of_a_dead_address_are_helped_at_once(make_gateway, make_camera):
    dead, new = make_camera(silent="accept"), make_camera()
    gateway = make_gateway(named(dead.url()).replace("connect_timeout_ms = 4000", "connect_timeout_ms = 60000"),
                           env=QUIET)
    with Viewer(gateway.flv_port, "/?cam=door") as viewer:
        wait_for(lambda: dead.connections, 30, "the dead camera to be tried")
        gateway.reload(named(new.url()))
        viewer.wait_frames(10)
    assert viewer.status == 200


def test_another_codec_ends_the_stream(make_gateway, make_camera):
    """No player takes it within a connection: the next request gets it."""
    old, new = make_camera(), make_camera(fake_rtsp.media("hevc"))
    gateway = make_gateway(named(old.url()), env=QUIET)
    with Viewer(gateway.flv_port, "/?cam=door") as viewer:
        viewer.wait_frames(25)
        gateway.reload(named(new.url()))
        viewer.wait_closed()
        viewer.flv.check()
        assert viewer.flv.rest == 0
    with Viewer(gateway.flv_port, "/?cam=door") as viewer:
        viewer.wait_frames(5)
        assert viewer.flv.video_configs[0].codec == "hevc"
