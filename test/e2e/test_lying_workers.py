"""A worker that was taken over (test/tools/lying_worker.c): whatever it does, the others do not notice.

The promises of docs/security.md about workers are held here, one test each.
"""
import json
import os
import re
import signal
import socket
import time

import pytest

from lib import processes
from lib.gateway import build_dir
from lib.http import connect, head_bytes, read_all, request, stream_target
from lib.wait import wait_for

NEIGHBOUR_FRAMES = 25


def lie_url(mode, number=0):
    return f"rtsp://127.0.0.1:9/lie/{mode}-{number}"


def lie_target(mode, number=0):
    return stream_target(lie_url(mode, number))


def ask(gateway, mode, number=0):
    """A viewer of a camera whose worker lies."""
    client = connect(gateway.flv_port, timeout=60)
    client.sendall(head_bytes(lie_target(mode, number)))
    return client


class Neighbour:
    """Somebody else's camera and viewer, and what the server has before and after the lie."""

    def __init__(self, gateway, camera):
        self.gateway, self.camera = gateway, camera

    def __enter__(self):
        self.viewer = self.gateway.view(self.camera.url())
        self.viewer.wait_frames(10)
        self.workers = self.gateway.all_workers()
        self.descriptors = len(processes.open_files(self.gateway.pid))
        self.memory = processes.private_bytes(self.gateway.pid)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.check()
        finally:
            self.viewer.close()

    def check(self):
        gateway = self.gateway
        wait_for(lambda: gateway.all_workers() == self.workers, 40,
                 lambda: f"{self.workers} alone, not {gateway.all_workers()}\n{gateway.log()[-3000:]}")
        wait_for(lambda: len(processes.open_files(gateway.pid)) <= self.descriptors, 20,
                 lambda: f"{self.descriptors} descriptors: {processes.open_files(gateway.pid)}")
        assert processes.private_bytes(gateway.pid) < self.memory + (8 << 20)
        assert request(gateway.snapshot_port, "/healthz").status == 200
        self.viewer.wait_more(NEIGHBOUR_FRAMES)
        self.viewer.close()
        self.camera.assert_no_frame_lost(self.viewer.flv)
        assert (self.camera.connections, self.camera.plays) == (1, 1)


@pytest.fixture
def gateway(make_lying_gateway):
    return make_lying_gateway("max_viewers = 20\nmax_cameras = 4\n")


def wait_for_line(gateway, text, seconds=40):
    wait_for(lambda: text in gateway.log(), seconds, lambda: f"{text!r} in:\n{gateway.log()[-3000:]}")


def test_ignores_leave(gateway, camera):
    """It asks to leave, may, and does not."""
    with Neighbour(gateway, camera):
        with ask(gateway, "leave"):
            wait_for_line(gateway, "did not leave when told to: it is killed")
        assert len(json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]) == 1


def test_ignores_drain(gateway, camera):
    """DELETE answers 204, and soon after nothing is left."""
    with Neighbour(gateway, camera), ask(gateway, "stay"):
        def lying_stream():
            found = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
            return [s["id"] for s in found if "/lie/" in s["camera_url"]]
        stream, = wait_for(lying_stream, 20, "the stream")
        assert request(gateway.snapshot_port, "/api/streams/" + stream, "DELETE").status == 204
        wait_for_line(gateway, "did not leave when told to: it is killed")


def test_closes_its_channel_and_goes_on(gateway, camera):
    with Neighbour(gateway, camera):
        for number in range(3):
            with ask(gateway, "close", number) as client:
                answer = read_all(client)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 503 "), answer
        wait_for(lambda: gateway.log().count("closed its channel and did not end: it is killed") == 3, 40,
                 "three to be killed")


def test_reads_no_more(gateway, camera):
    """DELETE cannot be told to it: it is killed all the same, and its place is free."""
    with Neighbour(gateway, camera), ask(gateway, "shut"):
        wait_for(lambda: len(gateway.all_workers()) == 2, 20, "its worker")
        time.sleep(1)  # it shuts its end once it has its client
        stop_lying(gateway)
        wait_for_line(gateway, "reads no more messages and did not end: it is killed")


def test_outlives_nobody(gateway, camera):
    """Master and nursery are killed at once: no worker is left, also none that closed its channel."""
    with gateway.view(camera.url()) as viewer, ask(gateway, "close"), ask(gateway, "stay"):
        viewer.wait_frames(5)
        wait_for(lambda: len(gateway.all_workers()) == 3, 20, "three workers")
        everybody = [gateway.nursery(), *gateway.all_workers()]
        for pid in (gateway.nursery(), gateway.pid):
            os.kill(pid, signal.SIGKILL)
        gateway.process.wait(20)
        wait_for(lambda: not any(processes.alive(pid) for pid in everybody), 5,
                 lambda: f"to end: {[pid for pid in everybody if processes.alive(pid)]}")


def test_writes_nonsense_into_its_slots(gateway, camera):
    """What it says about how far its viewers got costs those viewers alone: in the end they are closed."""
    with Neighbour(gateway, camera):
        clients = [ask(gateway, "slots") for _ in range(6)]
        for client in clients:
            read_all(client)
            client.close()
        wait_for_line(gateway, "killed by signal 9")


def test_starts_threads_without_end(gateway, camera):
    with Neighbour(gateway, camera), ask(gateway, "threads"):
        wait_for_line(gateway, "started more threads than any camera needs: it is killed")


def test_reads_nothing(gateway, camera):
    with Neighbour(gateway, camera):
        clients = [ask(gateway, "deaf") for _ in range(5)]
        wait_for_line(gateway, "has read none of its messages for 10 s: it is killed")
        for client in clients:
            assert client.recv(1) == b""
            client.close()


def test_hoards_memory(gateway, camera):
    """4 GiB, whichever kind of mapping it asks for."""
    with Neighbour(gateway, camera), ask(gateway, "memory"):
        got = {}
        for kind in ("shared", "grows down", "private"):
            wait_for(lambda k=kind: f"lie: {k}: " in gateway.log(), 30, kind)
            got[kind] = int(re.search(rf"lie: {kind}: (\d+) MB", gateway.log()).group(1))
        assert got["shared"] == got["grows down"] == 0 and got["private"] <= 4096, got
        stop_lying(gateway)


def test_says_nothing(gateway, camera):
    with Neighbour(gateway, camera):
        with ask(gateway, "silent"):
            wait_for(lambda: len(gateway.all_workers()) == 2, 20, "its worker")
        wait_for_line(gateway, "has been silent for 10 s: it is killed")


def test_talks_without_end(gateway, camera):
    with Neighbour(gateway, camera), ask(gateway, "flood"):
        wait_for_line(gateway, "sends messages without end: it is killed")


def test_breaks_the_protocol(gateway, camera):
    with Neighbour(gateway, camera), ask(gateway, "protocol"):
        wait_for_line(gateway, "broke the protocol of its channel: it is killed")


def test_sends_descriptors(gateway, camera):
    """As many as a message carries, with messages that have none: all are closed."""
    with Neighbour(gateway, camera), ask(gateway, "descriptors"):
        wait_for_line(gateway, "broke the protocol of its channel: it is killed")


def test_returns_another_connection(gateway, camera):
    """Of a connection that is not the client's, the master would believe that the client sends on it."""
    with Neighbour(gateway, camera), ask(gateway, "another"):
        wait_for_line(gateway, "broke the protocol of its channel: it is killed")


@pytest.mark.parametrize("lie", ["turn", "later"])
def test_turns_a_connection(gateway, camera, lie):
    """It connects its client's socket to somebody else, whose requests would count as the client's."""
    with Neighbour(gateway, camera), socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        target = stream_target(lie_url(lie, listener.getsockname()[1]), path="/snapshot")
        with connect(gateway.snapshot_port) as client:
            client.sendall(head_bytes(target, headers={"Connection": "keep-alive"}))
            other, _ = listener.accept()
            with other:
                wait_for_line(gateway, "lie: connection turned")
                other.settimeout(30)
                other.sendall(head_bytes("/api/streams"))
                assert read_all(other) == b""
        if lie == "turn":
            wait_for_line(gateway, "its connection leads to somebody else now: it is closed")
        stop_lying(gateway)


def slow_client(port, target, **headers):
    """Takes next to nothing, and reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", port))
    sock.sendall(head_bytes(target, headers=headers))
    return sock


def test_makes_a_close_wait(gateway, camera):
    """It sets SO_LINGER on its client's socket, which the master closes last: it is not allowed to."""
    with Neighbour(gateway, camera), slow_client(gateway.flv_port, lie_target("linger")):
        wait_for_line(gateway, "lie: SO_LINGER: Operation not permitted")
        wait_for(lambda: gateway.metric("viewers") <= 1, 20, "its client to have left")
        stop_lying(gateway)


def test_makes_writes_wait(gateway, camera):
    """It returns a connection, keeps a descriptor of it, and clears O_NONBLOCK: the master answers nevertheless."""
    target = stream_target(lie_url("block"), path="/snapshot")
    with Neighbour(gateway, camera), slow_client(gateway.snapshot_port, target, Connection="keep-alive") as client:
        wait_for_line(gateway, "lie: connection returned")
        for _ in range(20):  # far more than the socket takes
            client.sendall(head_bytes("/metrics", headers={"Connection": "keep-alive"}))
        for _ in range(5):
            assert request(gateway.snapshot_port, "/healthz", timeout=30).status == 200
            time.sleep(0.2)
        stop_lying(gateway)


def test_keeps_viewers_that_have_gone(gateway, camera):
    """It never says that one has left.  Those who want to watch others find their places free again."""
    with Neighbour(gateway, camera):
        def status():
            with gateway.view(camera.url()) as another:
                return another.wait_status()

        def fill(number):
            """Take all places. -> "full", or "killed": on a busy machine its worker may be killed before that."""
            for _ in range(19):
                ask(gateway, "stay", number).close()
            return wait_for(lambda: (gateway.log().count(killed) > number and "killed") or (status() == 503 and "full"),
                            40, "all places to be taken")
        killed = "keeps viewers that have closed their connections: it is killed"
        number = next((number for number in range(3) if fill(number) == "full"), None)
        assert number is not None, gateway.log()[-3000:]
        wait_for(lambda: gateway.log().count(killed) > number, 40, lambda: f"{killed}\n{gateway.log()[-3000:]}")
        wait_for(lambda: status() == 200, 20, "a place")


def test_hoards_pipes(gateway, camera):
    """Its descriptors are few; the memory behind them is bounded by that."""
    with Neighbour(gateway, camera), ask(gateway, "pipes"):
        wait_for_line(gateway, " pipes")
        pipes = int(re.search(r"lie: (\d+) pipes", gateway.log())[1])
        assert 0 < pipes <= 1024
        stop_lying(gateway)


def test_goes_to_extremes(gateway, camera):
    """Every number of its messages at 0, 2^31, 2^63 and the like: API and metrics stay in range."""
    with Neighbour(gateway, camera), ask(gateway, "extremes"):
        began = time.time()
        while time.time() < began + 3:
            streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
            for stream in streams:
                assert 0 <= stream["width"] <= 65535 and 0 <= stream["height"] <= 65535, stream
                assert 0 <= stream["frame_rate"] <= 1000 and stream["bit_rate"] >= 0, stream
                assert 0 <= stream["viewers"] <= 1 and stream["restarts"] >= 0, stream
                assert stream["last_frame_at"] is None or stream["last_frame_at"] <= "2100", stream
            text = request(gateway.snapshot_port, "/metrics").body.decode()
            assert not re.search(r"^[^#]* (-|nan|inf)", text, re.M | re.I), text
            time.sleep(0.1)
        stop_lying(gateway)


def test_floods_the_log(gateway, camera):
    """Its lines are its own, and few; the log file is not overwritten."""
    with Neighbour(gateway, camera) as neighbour, ask(gateway, "log"):
        first = gateway.log()[:200]
        wait_for_line(gateway, "writes more than its share of the log: some of it is dropped")
        before, started = len(gateway.log()), time.monotonic()
        neighbour.viewer.wait_more(3 * NEIGHBOUR_FRAMES)
        grown, seconds = len(gateway.log()) - before, time.monotonic() - started
        assert grown < (seconds + 2) * (64 << 10), f"{grown} bytes in {seconds} s"
        log = gateway.log()
        assert log.startswith(first)
        forged = [line for line in log.splitlines() if "forged by a worker" in line]
        assert forged
        for line in forged:
            assert re.match(r"\S+Z warn worker\[\d+\] camera=[0-9a-f]{16}: 2026-01-01T", line), line
            assert "\x1b" not in line and "\r" not in line
        stop_lying(gateway)


def test_counts_what_cannot_be(gateway, camera):
    """Billions of viewers and bytes: nobody else is refused, and the server's totals do not wrap."""
    with Neighbour(gateway, camera), ask(gateway, "numbers"):
        wait_for(lambda: gateway.metric("received_bytes_total") > 1 << 33, 20, "its reports to count")
        sums = []
        for _ in range(3):
            sums.append(gateway.metric("received_bytes_total"))
            with gateway.view(camera.url()) as another:
                another.wait_frames(5)
        assert sums == sorted(sums) and sums[-1] < 1 << 40
        assert gateway.metric("viewers") <= 3
        stop_lying(gateway)


def test_refuses_for_49_days(gateway, camera):
    """As any rejected password: five minutes (master/camera_table.c), and after DELETE not at all."""
    with Neighbour(gateway, camera):
        with ask(gateway, "refuse") as client:
            read_all(client)
        wait_for(lambda: gateway.get(lie_url("refuse")).code == "camera_unauthorized", 20, "it to be refused")
        stop_lying(gateway)
        wait_for(lambda: not any("/lie/" in s["camera_url"] for s in
                                 json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]),
                 20, "it to be forgotten")


@pytest.mark.skipif(build_dir().endswith(("asan", "tsan")), reason="sanitizers have reports of their own")
def test_crashes_again_and_again(gateway, camera):
    """The log names signal, function and camera; the camera is quarantined, API and metrics say until when."""
    with Neighbour(gateway, camera):
        wait_for(lambda: quarantined(gateway), 60, "its camera to be quarantined")
        wait_for_line(gateway, "quarantined: its workers died")
        line = re.search(r"error worker\[(\d+)\] camera=([0-9a-f]{16}): crashed: SIGSEGV in crash\+0x[0-9a-f]+, "
                         r"address 0x0", gateway.log())
        assert line, gateway.log()[-3000:]
        assert re.search(rf"worker\[{line[1]}\].*: crashed: called by .*worker_run\+0x", gateway.log())
        assert re.search(rf"camera={line[2]}: worker \d+ \(pid {line[1]}\) was killed by signal 11", gateway.log())


def quarantined(gateway):
    """Let its worker crash until API and metrics say so."""
    with ask(gateway, "crash") as client:
        read_all(client)  # an answer, or none at all
    found = [s for s in json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
             if s["state"] == "quarantined"]
    if not found:
        return False
    assert found[0]["next_try"].endswith("Z")
    text = request(gateway.snapshot_port, "/metrics").body.decode()  # may be a second old
    camera = f'{{camera="{found[0]["id"]}"'
    return f"camera_next_try_seconds{camera}}} " in text and f'camera_state{camera},state="quarantined"}} 1' in text


def stop_lying(gateway):
    """DELETE of the stream that lies: its worker is killed when it does not leave."""
    found = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    for stream in found:
        if "/lie/" in stream["camera_url"]:
            assert request(gateway.snapshot_port, "/api/streams/" + stream["id"], "DELETE").status == 204
