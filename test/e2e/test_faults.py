"""A camera that goes away while it is watched."""
import threading
import time

from conftest import QUICK
from lib import processes
from lib.listener import Listener
from lib.wait import holds_for, wait_for


def test_camera_dies_and_comes_back(gateway, camera):
    """The same HTTP connection goes on, timestamps continue, and the camera's name is looked up again."""
    with gateway.view(camera.url(), join="gop") as viewer:
        viewer.wait_frames(30)
        worker = gateway.worker_of(camera.port)
        camera.close()
        wait_for(lambda: camera.open_connections() == 0, 10, "the connection to be cut")
        assert not viewer.closed_by_server
        before = len(viewer.flv.video)
        camera.listen()
        viewer.wait(lambda v: len(v.flv.video) > before + 30, 60, "frames after the camera came back")
        assert gateway.worker_of(camera.port) == worker
        with gateway.view(camera.url()) as second:
            second.wait_frames(5)
    assert camera.plays == 2
    flv = viewer.flv
    flv.check()  # dts monotonic, no repeated sequence header, …
    steps = [b.dts - a.dts for a, b in zip(flv.video, flv.video[1:])]
    # The jump is a step as long as the camera was away at most, never a huge one.
    assert max(steps) < 60000
    gap = steps.index(max(steps)) + 1
    assert flv.video[gap].key, "after the gap the stream goes on at a key frame"
    # Audio and video stayed together.
    assert abs(flv.video[-1].dts - flv.audio[-1].dts) < 1000


def test_camera_falls_silent_and_is_connected_anew(gateway, camera):
    """No packet for stall_timeout_ms: the connection, open as it is, is given up for a fresh one."""
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(20)
        camera.muted.set()
        wait_for(lambda: camera.connections >= 2, 30, "a second connection")
        camera.muted.clear()
        viewer.wait_more(20)
    viewer.flv.check()


def test_camera_that_stays_away_ends_the_viewer(make_gateway, camera):
    """After the reconnect window the viewer is closed, at a tag's end; new ones get the error."""
    gateway = make_gateway(QUICK.replace("reconnect_window_ms = 20000", "reconnect_window_ms = 3000"))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        camera.close()
        viewer.wait_closed(60)
        assert viewer.flv.rest == 0
    viewer.flv.check()
    answer = gateway.get(camera.url())
    assert (answer.status, answer.code) == (502, "camera_unreachable")


def test_attempts_are_spaced(gateway, make_camera):
    """Reconnecting backs off: a camera that cuts every connection is not hammered."""
    camera = make_camera()
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        camera.silent = "accept"
        camera.drop()
        seen = camera.connections

        def cut():
            camera.drop()
            return True
        holds_for(cut, 5, "cutting")
        assert 1 <= camera.connections - seen <= 8, camera.connections - seen


class HangsUp(Listener):
    """Accepts, and closes without a word."""

    def __init__(self):
        self.times = []
        super().__init__()

    def serve(self, sock):
        self.times.append(time.monotonic())


def test_impatient_viewers_do_not_hammer_a_camera(gateway):
    """20 players ask again at once: one attempt a second, one connection each, except two for the first."""
    with HangsUp() as camera:
        end = time.monotonic() + 10

        def play():
            while time.monotonic() < end:
                assert gateway.get(f"rtsp://127.0.0.1:{camera.port}/x").status in (502, 503, 504)
        players = [threading.Thread(target=play) for _ in range(20)]
        for player in players:
            player.start()
        for player in players:
            player.join()
        assert 4 <= len(camera.times) <= 13, camera.times
        assert (camera.times[-1] - camera.times[1]) / (len(camera.times) - 2) > 0.9, camera.times


def test_watched_camera_that_flaps(make_gateway, camera):
    """3 s there, 3 s not: viewers see it again within moments of its return, each time."""
    gateway = make_gateway(QUICK)
    with gateway.view(camera.url()) as viewer:
        for _ in range(4):
            viewer.wait_more(25)
            camera.close()
            holds_for(lambda: not viewer.closed_by_server, 3, "the viewer to stay")
            camera.listen()
            back = time.monotonic()
            seen = len(viewer.flv.video)
            viewer.wait(lambda v, n=seen: len(v.flv.video) > n, 30, "pictures again")
            assert time.monotonic() - back < 6  # 3 s, and what a busy machine takes


def test_password_changed_while_streaming(gateway, make_camera):
    """Rejected on reconnect: final, one login only."""
    camera = make_camera(user="admin", password="old-secret")
    gateway.secrets += ["old-secret", "new-secret"]
    with gateway.view(camera.url(user="admin", password="old-secret")) as viewer:
        viewer.wait_frames(5)
        camera.password = "new-secret"
        before = len(camera.logins())
        camera.drop()
        wait_for(lambda: len(camera.logins()) > before, 20, "the worker to try again")
        holds_for(lambda: len(camera.logins()) == before + 1, 4, "one login with the old password")


def test_viewer_that_arrives_during_the_back_off(gateway, camera):
    """It makes the worker connect at once; the attempt that was due later must not come on top."""
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        worker = gateway.worker_of(camera.port)[0]
        camera.close()
        wait_for(lambda: gateway.log().count("cannot connect") >= 2, 30, "two attempts to fail")
        # The third is 1.5 s away at least, and a viewer needs 0.5 s of rest to make the worker connect at once.
        holds_for(lambda: gateway.log().count("cannot connect") == 2, 0.8, "no third attempt yet")
        camera.listen()

        def second_viewer_plays():
            with gateway.view(camera.url()) as second:
                return second.wait_status() == 200
        wait_for(second_viewer_plays, 30, "a second viewer to play")
        viewer.wait_more(75)  # 3 s: the attempt that was due has come by now
        assert processes.alive(worker) and camera.plays == 2
    viewer.flv.check()
