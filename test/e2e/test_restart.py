"""systemctl restart, and kill -9 of the master: systemd keeps ports and viewers for the next start (lib/systemd_store)."""
import os
import re
import signal
import socket

import pytest

from conftest import QUICK
from lib.ffmpeg import decode_video
from lib.http import connect, head_bytes, request, stream_target
from lib.ports import free_port
from lib.systemd_store import SystemdStore
from lib.wait import wait_for
from test_handover import assert_sound, audience, end_worker, read_parts, read_snapshot, still_there, the_worker, wait_more, watching

PATIENT = QUICK.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 60000")


@pytest.fixture
def systemd(tmp_path):
    systemd = SystemdStore(tmp_path, PATIENT)
    yield systemd
    systemd.close()


def wait_stored(gateway, count):
    wait_for(lambda: gateway.metric("stored_viewers") == count, 30,
             lambda: f"{count} viewers to be stored: {gateway.metric('stored_viewers')}")


def assert_whole(viewer):
    """Every picture decodes, across all that happened."""
    assert_sound(viewer)
    pictures = decode_video("h264", viewer.flv.annex_b(), 64, 36)
    assert len(pictures) == len(viewer.flv.video)


def test_a_restart_disconnects_nobody(systemd, make_camera):
    """Viewers, MJPEG, a snapshot that waits, a connection that is kept; who connects meanwhile waits."""
    camera, silent = make_camera(), make_camera(silent="play")
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers, gateway.view(camera.url()) as decoded, \
            connect(gateway.snapshot_port, 60) as waiting, connect(gateway.snapshot_port, 60) as kept, \
            connect(gateway.snapshot_port, 60) as mjpeg:
        everybody = [*viewers, decoded]
        waiting.sendall(head_bytes(stream_target(silent.url(), path="/snapshot")))
        ask = head_bytes("/healthz", headers={"Connection": "keep-alive"})
        answers = kept.makefile("rb")
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        mjpeg.sendall(head_bytes(stream_target(camera.url(), path="/mjpeg", fps=2)))
        read_parts(mjpeg, 2)
        wait_more(everybody, 25)
        wait_for(lambda: silent.plays == 1, 30, "the silent camera to be asked")
        systemd.stop()
        assert "7 viewers wait for the next program" in gateway.log()
        silent.silent = None
        with connect(gateway.snapshot_port, 60) as early:
            early.sendall(head_bytes("/healthz", headers={"Connection": "close"}))
            gateway = systemd.start()
            assert b"ok" in early.makefile("rb").read()
        assert wait_more(everybody, 50) == everybody, gateway.log()[-4000:]
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        assert b" 200 " in waiting.recv(64)
        assert b"HTTP/1.1" not in mjpeg.recv(1 << 20)
        assert "restart: done, 9 connections go on, 0 are closed" in gateway.log()
        assert (camera.plays, silent.plays) == (2, 2)
    for viewer in viewers:
        assert_sound(viewer)
    assert_whole(decoded)
    assert systemd.overflows == 0


def test_a_killed_master_leaves_its_viewers(systemd, make_camera):
    """Twice, and once more before the cameras stream again; a snapshot that waits is closed."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers, gateway.view(camera.url()) as decoded:
        everybody = [*viewers, decoded]
        for _ in range(2):
            wait_more(everybody, 25)
            wait_stored(gateway, len(everybody))
            with camera.pause(the_worker(gateway, camera)):
                systemd.kill()
            gateway = systemd.start()
            assert wait_more(everybody, 25) == everybody, gateway.log()[-4000:]
            assert f"restart: done, {len(everybody)} connections go on, 0 are closed" in gateway.log()
        assert request(gateway.snapshot_port, "/healthz").status == 200
        camera.silent = "accept"
        wait_stored(gateway, len(everybody))
        with camera.pause(the_worker(gateway, camera)):
            systemd.kill()
        gateway = systemd.start()
        wait_stored(gateway, len(everybody))  # they wait for the camera
        systemd.kill()
        camera.silent = None
        gateway = systemd.start()
        assert wait_more(everybody, 25) == everybody, gateway.log()[-4000:]
    for viewer in viewers:
        assert_sound(viewer)
    assert_whole(decoded)


def test_kills_right_after_the_start(systemd, make_camera):
    """Nobody is lost.  The viewers may be the reason, though: after six in a row they are closed.  A password that was
    rejected is no reason, and is not sent again."""
    camera, strict = make_camera(), make_camera(user="u", password="p")
    wrong = strict.url(user="u", password="wrong")
    gateway = systemd.start()
    assert gateway.get(wrong).code == "camera_unauthorized"
    asked = strict.connections
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        wait_stored(gateway, len(viewers))
        with camera.pause(the_worker(gateway, camera)):
            systemd.kill()
        camera.silent = "accept"
        for number in range(30):  # a kill before it takes anything in does not count
            gateway = systemd.start()
            systemd.kill()
            assert number >= 5 or still_there(viewers) == viewers, (number, gateway.log()[-4000:])
            if "may be the reason" in gateway.log():
                break
        wait_for(lambda: not still_there(viewers), 30, lambda: f"the viewers to be closed: {gateway.log()}")
        camera.silent = None
        gateway = systemd.start()
        assert gateway.get(wrong).code == "camera_unauthorized" and strict.connections == asked
        with gateway.view(camera.url()) as viewer:
            viewer.wait_frames(2)
    for viewer in viewers:
        assert_sound(viewer)


def test_a_rejected_password_outlives_a_kill(systemd, make_camera):
    """Nobody watches, so nothing but the rejection has changed: the next program does not send it again."""
    camera = make_camera(user="u", password="p")
    gateway = systemd.start()
    wrong = stream_target(camera.url(user="u", password="wrong"), path="/snapshot")

    def ask():
        return request(gateway.snapshot_port, wrong).code
    wait_for(lambda: gateway.log().count("systemd keeps") == 1, 30, "systemd to have the ports")
    assert ask() == "camera_unauthorized"
    wait_for(lambda: gateway.log().count("systemd keeps") > 1, 30, "systemd to hear of it")
    systemd.kill()
    gateway, asked = systemd.start(), camera.connections
    assert ask() == "camera_unauthorized" and camera.connections == asked


def test_a_stop_before_a_worker_is_announced(systemd, make_camera):
    """The nursery hangs: no worker makes way, none has begun."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        systemd.stop()
        gateway = systemd.start()
        os.kill(gateway.nursery(), signal.SIGSTOP)
        systemd.stop()
        gateway = systemd.start()
        assert wait_more(viewers, 25) == viewers, gateway.log()[-4000:]
    for viewer in viewers:
        assert_sound(viewer)


def test_a_parcel_that_is_too_old(systemd, make_camera):
    """Another worker goes on with the viewers, and systemd has not heard of it: they are closed, and get nothing twice."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        wait_stored(gateway, len(viewers))
        systemd.sync()
        systemd.deaf = True
        end_worker(gateway, camera, signal.SIGKILL)
        wait_more(viewers, 25)
        with camera.pause(the_worker(gateway, camera)):
            systemd.kill()
        systemd.deaf = False
        gateway = systemd.start()
        wait_for(lambda: not still_there(viewers), 30, "the viewers to be closed")
        told = f"restart: done, 0 connections go on, {len(viewers)} are closed"
        wait_for(lambda: told in gateway.log(), 30, lambda: f"the log to say so: {gateway.log()}")
    for viewer in viewers:
        assert viewer.flv.rest == 0
        assert_sound(viewer)


def test_systemd_that_takes_nothing(systemd, make_camera):
    """It is busy for as long as it leaves a service to stop: the viewers end as without it, with a close frame."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        with systemd.busy():
            gateway.stop()
            wait_for(lambda: not still_there(viewers), 30, "the viewers to be closed")
        assert "cannot give systemd what the next program needs" in gateway.log()
    for viewer in viewers:
        assert viewer.flv.rest == 0
    systemd.sync()


def test_a_worker_that_hangs(systemd, make_camera):
    """At a restart it does not make way: it is killed, and its memory says how far its viewers got."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        worker = the_worker(gateway, camera)
        with camera.pause(worker):
            os.kill(worker, signal.SIGSTOP)
        systemd.stop()
        gateway = systemd.start()
        assert wait_more(viewers, 25) == viewers, gateway.log()[-4000:]
    for viewer in viewers:
        assert_sound(viewer)


def test_a_kill_after_an_upgrade(systemd, make_camera):
    """The program that took over gives systemd the viewers, too."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        os.kill(gateway.pid, signal.SIGUSR2)
        wait_for(lambda: "upgrade: done" in gateway.log(), 90, "the upgrade")
        # The parcel that counts is the first one after the viewers have the new worker.
        told = f"of its clients go on with the next one.*systemd keeps {len(viewers)} viewers"
        wait_for(lambda: re.search(f"upgrade: done.*{told}", gateway.log(), re.S), 60,
                 lambda: f"their parcel: {gateway.log()[-4000:]}")
        with camera.pause(the_worker(gateway, camera)):
            systemd.kill()
        gateway = systemd.start()
        assert wait_more(viewers, 25) == viewers, gateway.log()[-4000:]
        assert len(systemd.kept) == 1, systemd.kept
    for viewer in viewers:
        assert_sound(viewer)


def test_a_kill_at_any_time(systemd, make_camera):
    """It costs those that something was being written to: a worker writes to one at a time.  Another worker's memory counts
    after a worker's death, and who came since the last parcel is disconnected."""
    camera = make_camera()
    gateway = systemd.start()
    with watching(*[lambda: gateway.view(camera.url())] * 8) as everybody:
        viewers = everybody
        for _ in range(2):
            wait_more(viewers, 25)
            worker = the_worker(gateway, camera)
            os.kill(worker, 9)
            wait_for(lambda pid=worker: pid not in gateway.worker_of(camera.port), 30, "another worker")
            viewers = still_there(wait_more(viewers, 25))
            wait_stored(gateway, len(viewers))
            systemd.kill()
            gateway = systemd.start()
            left = wait_more(viewers, 25)
            assert len(left) >= len(viewers) - 1, gateway.log()[-4000:]
            viewers = left
    for viewer in everybody:
        assert_sound(viewer)


def test_a_start_that_fails(systemd):
    """Its port is another program's: it leaves all to the next start."""
    gateway = systemd.start()
    ask = head_bytes("/healthz", headers={"Connection": "keep-alive"})
    with connect(gateway.snapshot_port, 60) as kept, socket.create_server(("127.0.0.1", 0)) as other:
        answers = kept.makefile("rb")
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        systemd.stop()
        ports, systemd.ports = systemd.ports, (other.getsockname()[1], systemd.ports[1])
        for _ in range(2):
            with pytest.raises(AssertionError, match="cannot listen on"):
                systemd.start()
        systemd.ports = ports
        gateway = systemd.start()
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        assert "restart: done, 1 connections go on, 0 are closed" in gateway.log()


def test_a_stop_ends_the_viewers(systemd, make_camera):
    """The service cannot tell it from a restart: systemd closes what it keeps, and each stream ends with a whole tag."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        systemd.stop()
        assert still_there(viewers) == viewers
        with socket.create_connection(("127.0.0.1", gateway.flv_port), timeout=5):
            pass  # it would wait for the next start
        systemd.forget()
        wait_for(lambda: not still_there(viewers), 30, "the viewers to be closed")
        for viewer in viewers:
            assert viewer.flv.rest == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", gateway.flv_port), timeout=5)
    systemd.start()


def test_what_systemd_keeps_besides(systemd, make_camera):
    """Descriptors of somebody else's under our names, and other ports in the configuration: the viewers go on."""
    camera = make_camera()
    gateway = systemd.start()
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 10)
        systemd.stop()
        foreign = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        foreign[0].send(b"nonsense")
        socket.send_fds(foreign[0], [b"nonsense"], [foreign[0].fileno()])
        systemd.kept.update({"takeover-77": [os.open("/dev/null", os.O_RDONLY)], "stored": list(os.pipe()),
                             "takeover-78": [foreign[1].detach()], "takeover-79": [socket.socket().detach()]})
        foreign[0].close()
        old, systemd.ports = systemd.ports, (systemd.ports[1], free_port())  # one of them the other's
        gateway = systemd.start()
        assert wait_more(viewers, 25) == viewers, gateway.log()[-4000:]
        for number in (77, 78, 79):
            assert f"takeover-{number} is not what a program of ours leaves" in gateway.log()
        assert gateway.log().count("without a name") == 2
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", old[0]), timeout=5)
        systemd.sync()
        wait_for(lambda: len(systemd.kept) == 1, 30, lambda: f"the others to be dropped: {systemd.kept}")
    for viewer in viewers:
        assert_sound(viewer)
