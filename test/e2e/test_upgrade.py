"""SIGUSR2: another program takes this one's place in the same process, and nobody is disconnected."""
import ctypes
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import QUICK
from lib import processes
from lib.gateway import binary
from lib.http import Viewer, connect, head_bytes, request, stream_target
from lib.wait import wait_for
from test_handover import assert_sound, audience, metric, read_parts, read_snapshot, still_there, wait_more

GOES_ON = "this program goes on"
PATIENT = QUICK.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 60000")


class Installed:
    """A folder with the two programs, as a package installs them: a new version takes the old one's name."""

    def __init__(self, folder):
        folder.mkdir()
        self.program, self.worker = folder / "cam-httpflv", folder / "cam-httpflv-worker"
        self.put()

    def put(self, program=None, worker=True):
        """Another program, by default the one that was built; worker=False: without its worker's."""
        self._replace(self.program, binary() if program is None else None, program)
        self.worker.unlink(missing_ok=True)
        if worker:
            self._replace(self.worker, binary("cam-httpflv-worker"), None)

    @staticmethod
    def _replace(path, source, text):
        fresh = path.with_suffix(".new")
        if source is not None:
            shutil.copy(source, fresh)
        else:
            fresh.write_text(text, encoding="utf-8")
            fresh.chmod(0o755)
        fresh.replace(path)

    def runs(self, gateway):
        return os.path.samefile(f"/proc/{gateway.pid}/exe", self.program)


@pytest.fixture
def installed(tmp_path):
    return Installed(tmp_path / "installed")


def start(make_gateway, installed, config=QUICK):
    return make_gateway(config, program=str(installed.program))


def upgrade(gateway, word="upgrade: done"):
    before = gateway.log().count(word)
    os.kill(gateway.pid, signal.SIGUSR2)
    wait_for(lambda: gateway.log().count(word) > before, 90, lambda: f"{word!r} in the log:\n{gateway.log()[-4000:]}")


def story(gateway):
    """The log without what happens all the time."""
    return "\n".join(line for line in gateway.log().splitlines() if " debug " not in line)[-6000:]


class Poller:
    """Asks for the same thing over and over, with a new connection each time, and remembers what went wrong."""

    def __init__(self, port, target):
        self.answers, self.failures = 0, []
        self._port, self._target, self._stopped = port, target, False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stopped:
            try:
                answer = request(self._port, self._target, timeout=60)
                assert answer.status == 200, answer
                self.answers += 1
                time.sleep(0.02)
            except Exception as failure:
                self.failures.append(repr(failure))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stopped = True
        self._thread.join()


def descriptors(pid):
    return len(processes.open_files(pid))


def family(gateway):
    """(nurseries, workers of cameras): all else are spare workers, which come and go."""
    titles = [processes.command_line(pid) for pid in processes.children(gateway.pid)]
    return sum("nursery" in t for t in titles), sum(": camera " in t for t in titles)


def test_an_upgrade_disconnects_nobody(make_gateway, make_camera, installed):
    """Viewers of two cameras, pollers, a client that waits, a connection that is kept; twice."""
    cameras = make_camera(), make_camera()
    silent = make_camera(silent="play")
    gateway = start(make_gateway, installed, PATIENT)
    targets = [(gateway.snapshot_port, "/healthz"), (gateway.snapshot_port, stream_target(cameras[0].url(), path="/snapshot"))]
    with audience(gateway, cameras[0].url()) as first, audience(gateway, cameras[1].url()) as second, \
            connect(gateway.snapshot_port, 60) as waiting, connect(gateway.snapshot_port, 60) as kept, \
            connect(gateway.snapshot_port, 60) as mjpeg:
        viewers = [*first, *second]
        waiting.sendall(head_bytes(stream_target(silent.url(), path="/snapshot")))
        ask = head_bytes("/healthz", headers={"Connection": "keep-alive"})
        answers = kept.makefile("rb")
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        mjpeg.sendall(head_bytes(stream_target(cameras[1].url(), path="/mjpeg", fps=2)))
        read_parts(mjpeg, 2)
        wait_more(viewers, 25)
        before, names = descriptors(gateway.pid), streams_of(gateway, cameras)
        with Poller(*targets[0]) as healthy, Poller(*targets[1]) as pictures:
            silent.silent = None  # its next sessions are not
            for _ in range(2):
                installed.put()
                assert not installed.runs(gateway)
                polls = healthy.answers, pictures.answers
                upgrade(gateway)
                assert installed.runs(gateway)
                assert wait_more(viewers, 25) == viewers, story(gateway)
                wait_for(lambda: gateway.log().count("making way") > 2 * gateway.log().count("upgrade: done"), 60, "old workers to end")
                wait_for(lambda p=polls: healthy.answers > p[0] + 5 and pictures.answers > p[1] + 5, 60, "polls to go on")
        assert (healthy.failures, pictures.failures) == ([], [])
        assert read_snapshot(kept, answers, ask) == b"ok\n"
        assert b" 200 " in waiting.recv(64)
        assert b"HTTP/1.1" not in mjpeg.recv(1 << 20)
        # The camera that was silent has nobody left.
        wait_for(lambda: family(gateway) == (1, 2) and not processes.zombies(gateway.pid), 30,
                 lambda: f"one nursery and two cameras: {family(gateway)}")
        wait_for(lambda: descriptors(gateway.pid) <= before + 4, 30,
                 lambda: f"descriptors: {before} before, {descriptors(gateway.pid)} now")
        assert [camera.plays for camera in cameras] == [3, 3]
    for viewer in viewers:
        assert_sound(viewer)
    for stream in names:
        # The new worker streams before the old one is told to make way: nobody waits for a key frame.
        story_of = [line for line in gateway.log().splitlines() if f"camera={stream}:" in line]
        told = [line.rpartition(": ")[2] for line in story_of
                if line.endswith(("connecting -> streaming", "making way for another worker"))]
        assert told == ["camera connecting -> streaming",
                        *["camera connecting -> streaming", "making way for another worker"] * 2], told


def streams_of(gateway, cameras):
    by_url = {stream["camera_url"]: stream["id"] for stream in streams(gateway)}
    return [by_url[camera.url()] for camera in cameras]


def test_a_camera_that_allows_one_session(make_gateway, make_camera, installed):
    """The old worker leaves it first: its viewers see a reconnect."""
    camera = make_camera()
    camera.alone = True
    gateway = start(make_gateway, installed)
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 25)
        upgrade(gateway)
        assert wait_more(viewers, 50) == viewers, story(gateway)
        wait_for(lambda: camera.plays == 2, 30, "the new worker's session")
        assert wait_more(viewers, 25) == viewers, story(gateway)
    assert camera.refused and "the old one ends first" in gateway.log()
    for viewer in viewers:
        assert_sound(viewer)


def test_while_old_workers_are_left(make_gateway, make_camera, installed):
    """Limits, API and metrics count their viewers, a reload and a stop reach them; then the server stops."""
    limits = "[server]\nmax_cameras = 2\nmax_viewers_per_camera = 1\n"
    config = limits + PATIENT.replace("stall_timeout_ms = 4000", "stall_timeout_ms = 60000")
    one, other, third = make_camera(), make_camera(), make_camera()
    gateway = start(make_gateway, installed, config)
    with Viewer(gateway.flv_port, stream_target(one.url())) as first, \
            Viewer(gateway.flv_port, stream_target(other.url())) as second:
        first.wait_frames(10)
        second.wait_frames(10)
        one.silent = other.silent = "accept"  # the new workers get no answer
        upgrade(gateway)
        wait_for(lambda: (one.connections, other.connections) == (2, 2), 30, "the new workers to connect")
        assert gateway.get(third.url()).code == "too_many_cameras"
        assert request(gateway.snapshot_port, stream_target(one.url(), path="/snapshot")).status == 200  # the old worker's
        first.wait_more(40)
        assert (one.connections, other.connections) == (2, 2)  # no new worker made room for the third camera
        wait_for(lambda: [s["viewers"] for s in streams(gateway)] == [1, 1], 30, lambda: streams(gateway))
        assert [s["state"] for s in streams(gateway)] == ["streaming"] * 2
        assert metric(gateway, "camera_viewers{") == metric(gateway, "viewers ") == 2
        assert metric(gateway, 'cameras{state="streaming"}') == 2
        assert gateway.get(one.url()).code == "too_many_viewers"
        stop, _ = streams_of(gateway, (one, other))
        assert request(gateway.snapshot_port, f"/api/streams/{stop}", "DELETE").status == 204
        first.wait_closed()
        second.wait_more(10)
        gateway.reload(config.replace("stall_timeout_ms = 60000", "stall_timeout_ms = 1000"))
        other.muted.set()
        wait_for(lambda: "camera lost: camera_timeout" in gateway.log(), 30, "the old worker to have the new limit")
        gateway.stop()
        second.wait_closed()
    assert (one.plays, other.plays, third.plays) == (1, 1, 0)


def test_a_poll_after_an_upgrade(make_gateway, make_camera, installed):
    """Nobody was connected to the old worker at the time, but somebody had asked: it answers until the new one can."""
    camera = make_camera()
    config = PATIENT.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 30000")  # an upgrade takes long on a busy machine
    gateway = start(make_gateway, installed, config)
    poll = stream_target(camera.url(), path="/snapshot")
    assert request(gateway.snapshot_port, poll).status == 200
    camera.silent = "accept"  # the new worker gets no answer
    upgrade(gateway)
    wait_for(lambda: camera.connections == 2, 30, "the new worker to connect")
    assert request(gateway.snapshot_port, poll).status == 200
    assert camera.plays == 1


def test_a_camera_that_does_not_answer_is_not_called_streaming(make_gateway, make_camera, installed):
    """What its old worker reported last is carried over, and the viewer that waits is counted."""
    camera = make_camera(silent="accept")
    gateway = start(make_gateway, installed, PATIENT)
    with Viewer(gateway.flv_port, stream_target(camera.url())):
        wait_for(lambda: camera.connections == 1, 30, "the camera to be asked")
        upgrade(gateway)
        stream, = streams(gateway)
        assert (stream["state"] != "streaming", stream["viewers"]) == (True, 1), stream


BROKEN = {
    "not a program": "nonsense",
    "it ends with an error": "#!/bin/sh\nexit 9\n",
    "it is killed": "#!/bin/sh\nkill -9 $$\n",
}


@pytest.mark.parametrize("program", BROKEN.values(), ids=BROKEN.keys())
def test_a_program_that_does_not_come_up_changes_nothing(make_gateway, camera, installed, program):
    gateway = start(make_gateway, installed)
    with Viewer(gateway.flv_port, stream_target(camera.url())) as viewer:
        viewer.wait_frames(10)
        installed.put(program)
        upgrade(gateway, GOES_ON)
        installed.put(worker=False)
        upgrade(gateway, GOES_ON)
        viewer.wait_more(10)
        assert camera.plays == 1 and not viewer.closed_by_server
        installed.put()
        upgrade(gateway)
        viewer.wait_more(10)
        assert installed.runs(gateway)
    assert_sound(viewer)


def test_a_configuration_that_the_new_program_refuses(make_gateway, camera, installed):
    gateway = start(make_gateway, installed)
    with Viewer(gateway.flv_port, stream_target(camera.url())) as viewer:
        viewer.wait_frames(10)
        with open(gateway.config_path, "a", encoding="utf-8") as file:
            file.write("[nonsense]\n")
        for pid in processes.children(gateway.pid):  # systemctl kill sends it to all, unless told otherwise
            os.kill(pid, signal.SIGUSR2)
        upgrade(gateway, GOES_ON)
        assert "[nonsense]" in gateway.log()
        viewer.wait_more(10)
        assert camera.plays == 1


def test_a_program_that_is_gone_after_its_trial(make_gateway, camera, installed):
    """execve() fails when all is written down: this program goes on, and its workers do not notice."""
    gateway = start(make_gateway, installed)
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 25)
        installed.put('#!/bin/sh\nrm -f "$0"\n')
        upgrade(gateway, GOES_ON)
        assert wait_more(viewers, 25) == viewers
        assert request(gateway.snapshot_port, "/healthz").status == 200
        assert len(still_there(viewers)) == len(viewers) and camera.plays == 1
    for viewer in viewers:
        assert_sound(viewer)


def test_no_descriptor_for_the_listening_sockets(make_gateway, camera, installed):
    """The new program could perhaps not bind the ports anew: this one goes on, and listens."""
    gateway = start(make_gateway, installed)
    go = installed.program.with_name("go")
    with Viewer(gateway.flv_port, stream_target(camera.url())) as viewer:
        viewer.wait_frames(10)
        installed.put(f"#!/bin/sh\nwhile [ ! -e {go} ]; do sleep 0.1; done\n")
        os.kill(gateway.pid, signal.SIGUSR2)
        wait_for(lambda: "is tried" in gateway.log(), 30, "the trial")
        wait_for(lambda: any("sleep" in processes.command_line(pid) or "sh " in processes.command_line(pid)
                             for pid in processes.children(gateway.pid)), 30, "its program")
        limits = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        wait_for(lambda: "no descriptor is left (Too many open files)" in gateway.log(), 30, "the log to say so")
        go.touch()
        wait_for(lambda: GOES_ON in gateway.log(), 60, "the upgrade to be given up")
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, limits)
        assert "a listening socket cannot be kept" in gateway.log()
        assert gateway.metric("seconds_without_descriptors_total") > 0
        assert request(gateway.snapshot_port, "/healthz").status == 200
        viewer.wait_more(10)
        assert camera.plays == 1 and not viewer.closed_by_server
    assert_sound(viewer)


def test_what_is_remembered_against_a_camera(make_gateway, make_camera, installed):
    """A password that was rejected is not sent again, stream IDs stay."""
    camera = make_camera(user="u", password="p")
    gateway = start(make_gateway, installed)
    wrong = camera.url(user="u", password="wrong")
    assert gateway.get(wrong).code == "camera_unauthorized"
    before = stream_ids(gateway)
    upgrade(gateway)
    asked = camera.connections
    assert gateway.get(wrong).code == "camera_unauthorized"
    assert camera.connections == asked
    assert before and stream_ids(gateway) == before


def test_a_password_that_the_camera_rejects_by_then(make_gateway, make_camera, installed):
    """It is sent once; the right one is not held up by it, and the old worker goes on, in one upgrade after another."""
    camera = make_camera(user="u", password="before")
    gateway = start(make_gateway, installed)
    with Viewer(gateway.flv_port, stream_target(camera.url(user="u", password="before"))) as viewer:
        viewer.wait_frames(10)
        camera.password = "after"
        upgrade(gateway)

        def rejections():
            return gateway.log().count("cannot connect: camera_unauthorized")
        wait_for(lambda: rejections() == 1, 30, lambda: f"the new worker to be refused:\n{story(gateway)}")
        # Its worker leaves after a second; another one would have followed in the next.
        wait_for(lambda: family(gateway)[1] == 1, 30, "the refused worker to leave")
        time.sleep(4)
        assert rejections() == 1, story(gateway)
        right = stream_target(camera.url(user="u", password="after"), path="/snapshot")
        assert request(gateway.snapshot_port, right).status == 200
        viewer.wait_more(10)
        assert not viewer.closed_by_server and rejections() == 1
        upgrade(gateway)
        viewer.wait_more(25)
        assert not viewer.closed_by_server and rejections() == 1, story(gateway)
        assert camera.plays <= 3  # the first, the right password's, and that of the new program, which somebody may poll again


def test_the_right_password_after_an_upgrade(make_gateway, make_camera, installed):
    """The old worker goes on until a reload names the new password; then its viewers move."""
    camera = make_camera(user="u", password="before")

    def config(password):
        return QUICK + f'[camera "door"]\nurl = {camera.url(user="u", password=password)}\n'
    gateway = start(make_gateway, installed, config("before"))
    with Viewer(gateway.flv_port, "/?cam=door") as viewer:
        viewer.wait_frames(10)
        camera.password = "after"
        upgrade(gateway)
        wait_for(lambda: "cannot connect: camera_unauthorized" in gateway.log(), 30, "the new worker to be refused")
        viewer.wait_more(10)
        gateway.reload(config("after"))
        wait_for(lambda: "making way" in gateway.log(), 30, lambda: f"the old worker to end:\n{story(gateway)}")
        viewer.wait_more(50)
        assert camera.plays == 2
        wait_for(lambda: [(s["name"], s["viewers"]) for s in streams(gateway) if s["viewers"]] == [("door", 1)], 30,
                 lambda: streams(gateway))
    assert_sound(viewer)


def streams(gateway):
    return json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]


def stream_ids(gateway):
    return [stream["id"] for stream in streams(gateway)]


def test_a_program_that_speaks_to_no_old_worker(make_gateway, camera, installed):
    """Its trial says so: the workers make way before it takes over."""
    gateway = start(make_gateway, installed)
    with audience(gateway, camera.url()) as viewers:
        wait_more(viewers, 25)
        real = shutil.copy(installed.program, installed.program.with_name("real"))
        installed.put(f'#!/bin/sh\ncase "$*" in *--check-upgrade*) exit 43; esac\nexec {real} "$@"\n')
        upgrade(gateway)
        assert wait_more(viewers, 25) == viewers, story(gateway)
        assert camera.plays == 2 and gateway.log().count("making way for another worker") == 1
        assert gateway.log().index("making way") < gateway.log().index("takes over")
    for viewer in viewers:
        assert_sound(viewer)


def test_a_stop_in_the_middle(make_gateway, camera, installed):
    """SIGTERM while the new program is tried: the server stops, as ever."""
    gateway = start(make_gateway, installed)
    with Viewer(gateway.flv_port, stream_target(camera.url())) as viewer:
        viewer.wait_frames(5)
        installed.put("#!/bin/sh\nexec sleep 60\n")
        os.kill(gateway.pid, signal.SIGUSR2)
        wait_for(lambda: "is tried" in gateway.log(), 30, "the trial")
        os.kill(gateway.pid, signal.SIGUSR2)
        wait_for(lambda: "one is under way already" in gateway.log(), 30, "the second signal to be refused")
        gateway.stop()
        viewer.wait_closed()
    assert "upgrade: given up" in gateway.log()


def test_a_trial_that_ends_after_the_server_has_stopped(make_gateway, installed):
    """It is killed, but not gone while somebody traces it: the cameras' table is freed before it ends."""
    gateway = make_gateway(QUICK, program=str(installed.program), env={"MALLOC_PERTURB_": "165"})
    wait_for(lambda: request(gateway.snapshot_port, "/healthz").status == 200, 30, "workers, and a loop that has signals")
    installed.put("#!/bin/sh\nexec sleep 60\n")
    os.kill(gateway.pid, signal.SIGUSR2)

    def trials():
        return [pid for pid in processes.children(gateway.pid) if "sleep" in processes.command_line(pid)]
    trial, = wait_for(trials, 30, "the trial")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(0x4206, trial, None, None) == 0, os.strerror(ctypes.get_errno())  # PTRACE_SEIZE
    os.kill(gateway.pid, signal.SIGTERM)
    wait_for(lambda: not processes.children(gateway.pid), 30, "all other processes to end")
    time.sleep(1)
    assert gateway.process.poll() is None
    os.waitpid(trial, 0x40000000)  # __WALL: now its parent hears of it
    assert gateway.process.wait(30) == 0, gateway.log()[-4000:]
    gateway.stop()


def test_the_trial_by_hand(make_gateway, tmp_path):
    """--check-upgrade says why it fails; a variable that names nothing is told and harmless."""
    def check(*arguments):
        return subprocess.run([binary(), *arguments], capture_output=True, timeout=60, text=True)
    assert check("--check-upgrade=1").returncode == 43  # of no known messages: without workers
    ours, = re.findall(r"takes version (\d+)", check("--check-upgrade=999").stderr)
    assert ours == "1"
    refused = check("--check-upgrade=999")
    assert refused.returncode == 1 and "version 999" in refused.stderr
    assert "VERSION is missing" in check("--check-upgrade").stderr
    gateway = make_gateway(QUICK, env={"CAM_HTTPFLV_TAKEOVER": "7"})
    assert "CAM_HTTPFLV_TAKEOVER does not name" in gateway.log()
    assert request(gateway.snapshot_port, "/healthz").status == 200
