"""Who runs when: one worker per camera, spare ones ahead, what a death costs, how everything ends."""
import os
import pwd
import resource
import signal
import subprocess
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp, processes
from lib.gateway import binary, remote_ports
from lib.http import connect, head_bytes, read_all, request, stream_target
from lib.wait import wait_for

VIEWERS = CAMERAS = 10


@pytest.fixture
def ten_cameras():
    cameras = [fake_rtsp.FakeCamera(fake_rtsp.media()) for _ in range(CAMERAS)]
    yield cameras
    for camera in cameras:
        camera.close()


def test_spare_workers_are_there_before_any_camera(make_gateway):
    gateway = make_gateway("[server]\nspare_workers = 4\n")
    wait_for(lambda: len(gateway.all_workers()) == 4, 20, lambda: f"4 spares, got {gateway.all_workers()}")
    assert gateway.busy_workers() == []
    assert sorted(processes.children(gateway.pid)) == sorted([gateway.nursery(), *gateway.all_workers()])


def test_without_spares(make_gateway, camera):
    gateway = make_gateway("[server]\nspare_workers = 0\n")
    assert gateway.all_workers() == []
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        assert len(gateway.all_workers()) == 1


def test_ten_viewers_one_session_one_worker(gateway, camera):
    viewers = []
    try:
        for _ in range(VIEWERS):
            viewers.append(gateway.view(camera.url()))  # most arrive while it connects
        for viewer in viewers:
            viewer.wait_frames(50)
        assert len(gateway.worker_of(camera.port)) == 1
        assert len(gateway.busy_workers()) == 1
        assert (camera.connections, camera.plays) == (1, 1)
    finally:
        for viewer in viewers:
            viewer.close()
    for viewer in viewers:
        viewer.check()
        camera.assert_no_frame_lost(viewer.flv)


def test_ten_viewers_of_a_sample_camera(gateway, sample_cameras):
    row = "720p-H264-G711A"
    before = sample_cameras.session_count(row)
    viewers = [gateway.view(sample_cameras.rtsp_url(row)) for _ in range(VIEWERS)]
    try:
        for viewer in viewers:
            viewer.wait_frames(25)
        assert sample_cameras.session_count(row) == before + 1
        assert len(gateway.busy_workers()) == 1
    finally:
        for viewer in viewers:
            viewer.stop()
    for viewer in viewers:
        viewer.check()
        viewer.flv.check()


def test_more_cameras_than_workers_start_at_a_time(make_gateway, ten_cameras):
    gateway = make_gateway("[server]\nspare_workers = 0\n")
    viewers = [gateway.view(camera.url()) for camera in ten_cameras]
    for viewer in viewers:
        viewer.wait_frames(5)
    assert len(gateway.busy_workers()) == CAMERAS
    for viewer in viewers:
        viewer.close()


def test_workers_that_wait_for_their_start_when_the_nursery_dies(make_gateway, ten_cameras):
    gateway = make_gateway("[server]\nspare_workers = 0\n")
    nursery = wait_for(gateway.nursery, 30, "the nursery")
    os.kill(nursery, signal.SIGSTOP)
    asked = [connect(gateway.flv_port) for _ in ten_cameras]
    for sock, camera in zip(asked, ten_cameras):
        sock.sendall(head_bytes(stream_target(camera.url())))
    wait_for(lambda: request(gateway.snapshot_port, "/api/streams").body.count(b'"camera_url"') == CAMERAS, 30,
             "the master to know all cameras")
    os.kill(nursery, signal.SIGKILL)
    for sock in asked:
        assert sock.recv(13) in (b"HTTP/1.1 200 ", b"HTTP/1.1 503 ")
        sock.close()
    wait_for(lambda: gateway.nursery() not in (None, nursery), 30, "another nursery")
    with gateway.view(ten_cameras[0].url()) as viewer:
        viewer.wait_frames(5)


def oom_score(pid):
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
        return int(file.read())


def test_the_master_alone_is_raised(gateway):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    wait_for(gateway.all_workers, 30, "a spare worker")
    for pid in (gateway.nursery(), *gateway.all_workers()):
        assert os.getpriority(os.PRIO_PROCESS, pid) == own
        # When memory runs out a camera goes, not the master.
        assert oom_score(pid) == min(oom_score(gateway.pid) + 300, 1000)
    raised = own == 0 and os.geteuid() == 0
    assert os.getpriority(os.PRIO_PROCESS, gateway.pid) == (-3 if raised else own)


def test_same_camera_written_differently_is_one_camera(gateway, camera):
    with gateway.view(f"rtsp://127.0.0.1:{camera.port}/cam") as a, \
            gateway.view(f"RTSP://127.0.0.1:{camera.port}/cam", raw=True) as b, \
            gateway.view(f"rtsp://127.0.0.1:{camera.port}/cam", cam_type="rtsp-tcp") as c:
        for viewer in (a, b, c):
            viewer.wait_frames(5)
        assert camera.plays == 1 and len(gateway.busy_workers()) == 1


@pytest.fixture
def crashing_gateway(make_gateway):
    """A gateway whose workers the test crashes: a sanitizer must not report that as a finding."""
    quiet = "handle_segv=0"
    patient = QUICK.replace("stall_timeout_ms = 4000", "stall_timeout_ms = 10000")  # ten cameras at once
    return make_gateway(patient, env={"ASAN_OPTIONS": quiet, "TSAN_OPTIONS": quiet})


def test_ten_cameras_ten_workers_and_a_crash_costs_one(crashing_gateway, ten_cameras):
    gateway = crashing_gateway
    viewers = [gateway.view(camera.url()) for camera in ten_cameras]
    try:
        for viewer in viewers:
            viewer.wait_frames(25)
        workers = {camera.port: gateway.worker_of(camera.port) for camera in ten_cameras}
        assert all(len(pids) == 1 for pids in workers.values()), workers
        assert len({pids[0] for pids in workers.values()}) == CAMERAS

        victim = ten_cameras[3]
        dead = workers[victim.port][0]
        os.kill(dead, signal.SIGSEGV)
        wait_for(lambda: not processes.alive(dead), 20, "the worker to die")
        with gateway.view(victim.url()) as again:
            again.wait_frames(10)
            assert gateway.worker_of(victim.port) not in ([], [dead])
        viewers[3].stop()  # test_handover shows that it goes on
        others = [pair for pair in zip(viewers, ten_cameras) if pair[1] is not victim]
        wanted = [(viewer, len(viewer.flv.video) + 50) for viewer, _ in others]
        for viewer, count in wanted:
            viewer.wait_frames(count)
        for _, camera in others:
            assert gateway.worker_of(camera.port) == workers[camera.port]
            assert (camera.connections, camera.plays) == (1, 1)
    finally:
        for viewer in viewers:
            viewer.close()
    for viewer, camera in others:
        viewer.check()
        camera.assert_no_frame_lost(viewer.flv)
    wait_for(lambda: not processes.zombies(gateway.pid), 10, "the dead worker to be reaped")


def test_viewers_waiting_in_a_dying_worker_get_an_answer(crashing_gateway, make_camera):
    """The worker dies before it could answer, as do those after it: an error, never a hang or a plain close."""
    gateway = crashing_gateway
    camera = make_camera(silent="accept")
    with gateway.view(camera.url()) as viewer:
        for _ in range(3):  # after the third there is no other worker for a while
            worker = wait_for(lambda: gateway.worker_of(camera.port), 20, "the worker to connect")[0]
            os.kill(worker, signal.SIGSEGV)
            wait_for(lambda: not processes.alive(worker), 20, "the worker to be gone")
        assert viewer.wait_status() == 503
        wait_for(lambda: viewer.closed_by_server, 30, "the waiting viewer to be let go")
        assert b"quarantined" in viewer.body


def test_nursery_killed(gateway, make_camera):
    """Running streams go on; new cameras work as soon as there is another nursery."""
    old, new = make_camera(), make_camera()
    nursery = wait_for(gateway.nursery, 30, "the nursery")
    with gateway.view(old.url()) as viewer:
        viewer.wait_frames(10)
        worker = gateway.worker_of(old.port)[0]
        os.kill(nursery, signal.SIGKILL)
        wait_for(lambda: gateway.nursery() not in (None, nursery), 30, "another nursery")

        def new_camera_plays():
            with gateway.view(new.url()) as fresh:
                if fresh.wait_status() == 200:
                    fresh.wait_frames(5)
                    return True
                assert fresh.status == 503
            return False
        wait_for(new_camera_plays, 30, "a new camera to play")
        # A second viewer of the old camera still finds its worker.
        with gateway.view(old.url()) as second:
            second.wait_frames(5)
        assert old.plays == 1
        viewer.wait_more(25)
        assert processes.alive(worker)
    viewer.check()
    old.assert_no_frame_lost(viewer.flv)
    wait_for(lambda: not processes.alive(worker), 30, "the orphaned worker to leave when idle")


def test_nursery_hangs(gateway, make_camera):
    """SIGSTOP stands for it.  It is replaced; what it has not killed and not reaped is the master's."""
    old, new = make_camera(), make_camera()
    with gateway.view(old.url()) as viewer:
        viewer.wait_frames(10)
        worker = gateway.worker_of(old.port)[0]
        spare = wait_for(lambda: [pid for pid in gateway.all_workers() if pid != worker], 30, "a spare worker")[0]
        nursery = gateway.nursery()
        os.kill(nursery, signal.SIGSTOP)
        os.kill(spare, signal.SIGKILL)
        with old.pause(worker):
            os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: not processes.alive(nursery), 60, "the nursery to be killed")
        wait_for(lambda: not processes.alive(worker), 30, "the hanging worker to be killed")
        wait_for(lambda: gateway.nursery() not in (None, nursery), 30, "another nursery")
        viewer.wait_more(25)  # with the worker that another nursery forked

    def new_camera_plays():
        with gateway.view(new.url()) as fresh:
            return fresh.wait_status() == 200
    wait_for(new_camera_plays, 30, "a new camera to play")
    wait_for(lambda: not processes.zombies(gateway.pid), 20, "the master to reap what the nursery left")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_no_worker_can_be_forked(make_gateway):
    """Tried once a second, not without end, and successful when there is room again."""
    if not processes.reachable_by_others(os.path.realpath(binary("cam-httpflv-worker"))):
        pytest.skip("other users cannot start the program")
    gateway = make_gateway("[server]\nuser = nobody\nspare_workers = 1\n")
    nursery = wait_for(gateway.nursery, 30, "the nursery")
    spare = wait_for(gateway.all_workers, 30, "the spare worker")[0]

    def limit_processes(soft):
        """As the user itself: in a container even root may lack the right."""
        subprocess.run(["prlimit", f"--pid={nursery}", f"--nproc={soft}:"], check=True, user="nobody",
                       group=pwd.getpwnam("nobody").pw_gid, extra_groups=[])
    limit_processes(1)
    os.kill(spare, signal.SIGKILL)

    def failures():
        return gateway.log().count("cannot fork a worker")
    wait_for(failures, 30, "the nursery to fail")
    first, started = failures(), time.monotonic()
    wait_for(lambda: failures() > first + 1, 30, "it to try again")
    assert failures() - first < 5 + 2 * (time.monotonic() - started)
    limit_processes(resource.prlimit(0, resource.RLIMIT_NPROC)[1])
    wait_for(gateway.all_workers, 30, "a spare worker again")


def test_master_killed_takes_everything_with_it(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        everybody = [gateway.nursery(), *gateway.all_workers()]
        assert len(everybody) >= 2
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.process.wait(20)
        wait_for(lambda: not any(processes.alive(pid) for pid in everybody), 20,
                 lambda: f"to end: {[p for p in everybody if processes.alive(p)]}")
        viewer.wait_closed()
    gateway.check_log()


def test_idle_worker_leaves(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]
    # Within the idle time the camera stays connected, and the next viewer costs it nothing.
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        assert gateway.worker_of(camera.port) == [worker] and camera.connections == 1
    wait_for(lambda: not processes.alive(worker), 20, "the idle worker to leave")
    assert camera.open_connections() == 0
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
    assert camera.connections == 2
    assert "TEARDOWN" in [method for method, _, _ in camera.requests]


def test_viewers_that_leave_early_leave_nothing(gateway, make_camera):
    """Gone before the camera answered; the worker must not keep the camera for nobody."""
    camera = make_camera(silent="accept")
    for _ in range(5):
        gateway.view(camera.url()).close()
    wait_for(lambda: not gateway.busy_workers(), 30, "the worker to give up")


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["master", "everybody"])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_drain(gateway, camera, sign, send):
    """Viewers are closed cleanly, at a tag's end; exit code 0 within 5 s.

    A terminal and systemd send the signal to every process: the master still decides.
    """
    with gateway.view(camera.url()) as one, gateway.view(camera.url(), audio="none") as other:
        for viewer in (one, other):
            viewer.wait_frames(10)
        started = time.monotonic()
        send(gateway.pid, sign)
        assert gateway.process.wait(30) == 0
        assert time.monotonic() - started < 6
        for viewer in (one, other):
            viewer.wait_closed()
            viewer.flv.check()
            assert viewer.flv.rest == 0, "cut in the middle of a tag"
    gateway.check_gone()
    gateway.check_log()
    assert "starting another" not in gateway.log(), gateway.log()
    wait_for(lambda: camera.open_connections() == 0, 10, "the camera to be let go")


def test_drain_with_a_connecting_camera(gateway, make_camera):
    camera = make_camera(silent="accept")
    with gateway.view(camera.url()) as viewer:
        wait_for(lambda: camera.connections, 20, "the worker to connect")
        started = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
        assert time.monotonic() - started < 6
        wait_for(lambda: viewer.closed_by_server, 10, "the viewer to be closed")
        assert viewer.status in (None, 503, 504)


def test_drain_with_a_stuck_viewer(gateway, camera):
    """A viewer that reads nothing does not hold up the end."""
    with connect(gateway.flv_port) as stuck:
        stuck.sendall(head_bytes(stream_target(camera.url())))
        wait_for(lambda: camera.frames_sent > 5, 20, "the camera to play")
        started = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0
        assert time.monotonic() - started < 6


def test_drain_with_a_hanging_nursery(gateway):
    nursery = wait_for(gateway.nursery, 30, "the nursery")
    wait_for(gateway.all_workers, 30, "a spare worker")
    os.kill(nursery, signal.SIGSTOP)
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(60) == 0


def test_settings_of_the_master_are_not_for_workers(make_gateway):
    """Whoever takes over a worker does not find the token in its environment."""
    gateway = make_gateway(env={"CAM_HTTPFLV_ACCESS_TOKEN": "a-token-42"})
    nursery = wait_for(gateway.nursery, 30, "the nursery")
    spare = wait_for(gateway.all_workers, 30, "a spare worker")[0]
    assert b"a-token-42" in processes.environment(gateway.pid)
    for pid in (nursery, spare):
        assert b"PATH=" in processes.environment(pid)
        assert b"CAM_HTTPFLV" not in processes.environment(pid)


def test_drain_with_connections_that_ask_nothing(gateway):
    """Browsers connect ahead of need: no reason to stay, and nobody may ask once the cameras are gone."""
    with connect(gateway.flv_port) as one, connect(gateway.snapshot_port) as other:
        assert request(gateway.snapshot_port, "/healthz").status == 200  # both have been accepted
        started = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert read_all(one) == b"" and read_all(other) == b""
        assert gateway.process.wait(30) == 0
        assert time.monotonic() - started < 9  # 10 s is what a request head may take


def test_descriptors_return(make_gateway, make_camera):
    """After 200 clients of every kind the master holds what it held before."""
    gateway = make_gateway(QUICK)
    camera, dead = make_camera(), make_camera()
    dead.close()

    def serve_some(count):
        for n in range(count):
            kind = n % 5
            if kind == 0:
                with gateway.view(camera.url()) as viewer:
                    viewer.wait_frames(1)
            elif kind == 1:
                assert gateway.get("ftp://x/").status == 400
            elif kind == 2:
                assert gateway.get(camera.url(), method="HEAD").status == 200
            elif kind == 3:
                assert request(gateway.snapshot_port, "/healthz").status == 200
            else:
                assert gateway.get(dead.url()).code == "camera_unreachable"

    def rest():
        """Nobody there but the spare workers."""
        wait_for(lambda: len(gateway.all_workers()) == 2 and not gateway.busy_workers(), 60,
                 lambda: f"two spare workers alone: {gateway.all_workers()}")

    def descriptors():
        return [len(processes.open_files(pid)) for pid in (gateway.pid, gateway.nursery())]

    serve_some(10)
    rest()
    before = descriptors()
    serve_some(200)
    rest()
    wait_for(lambda: all(now <= then for now, then in zip(descriptors(), before)), 20,
             lambda: f"{before} descriptors again, got {descriptors()}")


def test_nothing_leaks_into_a_worker(gateway, make_camera):
    """A worker holds its own client, which the master has too, and no listener and no other camera's client."""
    one, two = make_camera(), make_camera()
    with gateway.view(one.url()) as a, gateway.view(two.url()) as b:
        a.wait_frames(5)
        b.wait_frames(5)
        master = set(processes.sockets(gateway.pid))
        first, second = (gateway.worker_of(c.port)[0] for c in (one, two))
        for pid in gateway.all_workers():
            shared = master & set(processes.sockets(pid))
            assert len(shared) == (pid in (first, second)), f"a worker shares {shared} with the master"
            assert not remote_ports(pid) - {a.local_port, b.local_port, one.port, two.port}
        assert not set(processes.sockets(first)) & set(processes.sockets(second))
        for pid in (gateway.nursery(), first, second):
            # Where passwords must not show: arguments, environment.
            assert one.url() not in processes.command_line(pid)


def test_password_is_in_no_process_listing(gateway, make_camera):
    camera = make_camera(user="admin", password="sesame-42")
    gateway.secrets.append("sesame-42")
    with gateway.view(camera.url(user="admin", password="sesame-42")) as viewer:
        viewer.wait_frames(3)
        for pid in [gateway.pid, gateway.nursery(), *gateway.all_workers()]:
            assert "sesame-42" not in processes.command_line(pid)
            assert b"sesame-42" not in processes.environment(pid)


def test_stopped_worker_is_replaced(gateway, camera):
    """A worker that hangs (SIGSTOP stands for an endless loop) is killed by the master behind it."""
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]
        with camera.pause(worker):
            os.kill(worker, signal.SIGSTOP)
        wait_for(lambda: not processes.alive(worker), 60, "the hanging worker to be killed")
        viewer.wait_more(25)
    viewer.flv.check()
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
