"""systemd's side, played by the test: sockets handed over, notifications, watchdog.  sd_listen_fds(3), sd_notify(3)."""
import json
import signal
import socket
import subprocess

import pytest

from lib import processes
from lib.gateway import binary, clean_environment
from lib.http import Viewer, request, stream_target
from lib.wait import wait_for

# sh gives the sockets the numbers and the process ID that the protocol asks for.
ACTIVATE = 'LISTEN_PID=$$ LISTEN_FDS={count}; export LISTEN_PID LISTEN_FDS; exec "$@" 3<&{streams} 4<&{snapshots}'


class Manager:
    def __init__(self, directory, streams, snapshots, count=2, busy=False):
        self.config = directory / "service.ini"
        self.config.write_text("", encoding="utf-8")
        self.told = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(directory / "notify"))
        self._notify.settimeout(30)
        if busy:
            self._fill_queue()
        fds = [streams.fileno(), snapshots.fileno()]
        self._log_path = directory / "service.log"
        self._log = open(self._log_path, "wb")
        self.process = subprocess.Popen(
            ["bash", "-c", ACTIVATE.format(count=count, streams=fds[0], snapshots=fds[1]), "sh", binary(),
             "--config", str(self.config)],
            env=clean_environment({"NOTIFY_SOCKET": str(directory / "notify"), "WATCHDOG_USEC": "400000"}),
            pass_fds=fds, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            preexec_fn=processes.die_with_parent)

    def _fill_queue(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with pytest.raises(BlockingIOError):
                while True:
                    sender.sendto(b"of another service", self._notify.getsockname())

    def wait_told(self, what):
        """Until that line comes; what came before it is in told."""
        while True:
            text = self._notify.recv(4096).decode()
            self.told.append(text)
            if what in text.splitlines():
                return

    def log(self):
        return self._log_path.read_bytes()

    def close(self):
        processes.end(self.process)
        self._notify.close()
        self._log.close()


def listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(16)
    return sock


@pytest.fixture
def make_manager(tmp_path):
    started = []

    def make(*args, **kwargs):
        started.append(Manager(tmp_path, *args, **kwargs))
        return started[-1]
    yield make
    for manager in started:
        manager.close()


def test_life_of_a_service(make_manager, camera, tmp_path):
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "snapshots"))
    unix.listen(16)
    with listener() as streams, unix:
        manager = make_manager(streams, unix)
        manager.wait_told("READY=1")
        manager.wait_told("WATCHDOG=1")
        manager.wait_told("WATCHDOG=1")
        with Viewer(streams.getsockname()[1], stream_target(camera.url())) as viewer:
            viewer.wait_frames(10)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(tmp_path / "snapshots"))
            client.sendall(b"GET /api/streams HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = client.makefile("rb").read()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and json.loads(body), answer

        manager.process.send_signal(signal.SIGHUP)
        manager.wait_told("RELOADING=1")
        assert "MONOTONIC_USEC=" in manager.told[-1]
        manager.wait_told("READY=1")
        manager.config.write_text("nonsense\n", encoding="utf-8")
        manager.process.send_signal(signal.SIGHUP)
        manager.wait_told("RELOADING=1")
        manager.wait_told("READY=1")  # a bad file leaves it running as it was

        manager.process.send_signal(signal.SIGTERM)
        manager.wait_told("STOPPING=1")
        assert manager.process.wait(30) == 0
        # The sockets are the manager's: what comes now waits for the next start.
        with socket.create_connection(streams.getsockname(), timeout=5):
            pass


def test_systemd_that_is_busy(make_manager):
    """Its queue is full of others' messages: nothing waits for it, and it is told what it missed."""
    with listener() as streams, listener() as snapshots:
        manager = make_manager(streams, snapshots, busy=True)
        port = snapshots.getsockname()[1]
        assert request(port, "/healthz").status == 200
        manager.process.send_signal(signal.SIGHUP)
        wait_for(lambda: b"was read again" in manager.log(), 30, "the reload")
        assert request(port, "/healthz").status == 200
        for what in ("READY=1", "STATUS=cameras can be watched", "RELOADING=1", "READY=1", "WATCHDOG=1"):
            manager.wait_told(what)
        manager.process.send_signal(signal.SIGTERM)
        assert manager.process.wait(30) == 0


def test_connections_wait_for_the_start(make_manager, camera):
    with listener() as streams, listener() as snapshots:
        with Viewer(streams.getsockname()[1], stream_target(camera.url())) as early:
            make_manager(streams, snapshots).wait_told("READY=1")
            early.wait_frames(5)


def test_wrong_sockets_are_refused(make_manager):
    with listener() as streams, listener() as snapshots:
        manager = make_manager(streams, snapshots, count=1)
        assert manager.process.wait(30) == 1
