"""Connections to the snapshot port that stay: pollers, other cameras on them, pipelining, faults, bounds."""
import asyncio
import json
import os
import signal
import socket
import subprocess
import time

import aiohttp
import pytest
import requests

from conftest import QUICK
from lib import fake_rtsp, processes
from lib.http import connect, parse_head, stream_target
from lib.snapshot import jpeg_size
from lib.wait import wait_for


@pytest.fixture
def two_cameras(patient, make_camera):
    """URLs of two cameras that a viewer keeps running; their pictures differ in size."""
    first, second = make_camera(), make_camera(fake_rtsp.media(size="320x240"))
    with patient.view(first.url()) as one, patient.view(second.url()) as two:
        one.wait_frames(5)
        two.wait_frames(5)
        yield first.url(), second.url()


class Line:
    """One connection, answer by answer."""

    def __init__(self, port):
        self.sock = connect(port, 30)
        self.stream = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.sock.close()

    def send(self, target, *lines, method="GET"):
        self.sock.sendall("\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""]).encode())

    def receive(self, body=True):
        """-> (status, headers, body); None when the server has closed."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            if not line:
                assert head == b"", "closed within a head"
                return None
            head += line
        status, headers, _ = parse_head(head[:-4])
        length = int(headers.get("content-length", 0)) if body and status not in (204, 304) else 0
        data = self.stream.read(length)
        assert len(data) == length
        return status, headers, data

    def ask(self, target, *lines):
        self.send(target, *lines)
        return self.receive()


def snapshot_target(url, **parameters):
    return stream_target(url, path="/snapshot", **parameters)


# --- clients of others --------------------------------------------------------------------------

def test_requests_session(patient, two_cameras):
    """1000 polls of one requests.Session: one connection, nothing grows."""
    url = two_cameras[0]
    workers = patient.busy_workers()
    with requests.Session() as session:
        where = f"http://127.0.0.1:{patient.snapshot_port}/snapshot"

        def poll():
            answer = session.get(where, params={"cam_url": url, "width": 64}, timeout=30)
            assert answer.status_code == 200 and len(answer.content) == int(answer.headers["Content-Length"])
            assert "Connection" not in answer.headers
            return answer
        for _ in range(50):
            poll()
        begun = {pid: (processes.pss_bytes(pid), len(os.listdir(f"/proc/{pid}/fd"))) for pid in workers}
        master = len(os.listdir(f"/proc/{patient.pid}/fd"))
        for _ in range(1000):
            poll()
        for pid, (memory, descriptors) in begun.items():
            assert processes.pss_bytes(pid) < memory + (8 << 20)
            assert len(os.listdir(f"/proc/{pid}/fd")) <= descriptors + 1
        assert len(os.listdir(f"/proc/{patient.pid}/fd")) <= master + 1
        pools = session.get_adapter(where).poolmanager.connection_from_url(where)
        assert pools.num_connections == 1, "a new connection was made"
        for path in ("/healthz", "/metrics", "/api/streams", "/api/cameras", "/api/streams/none", "/nothing"):
            answer = session.get(f"http://127.0.0.1:{patient.snapshot_port}{path}", timeout=30)
            assert answer.status_code == (404 if path.endswith(("none", "nothing")) else 200)
        assert poll().status_code == 200
        assert pools.num_connections == 1


def test_aiohttp(patient, two_cameras):
    async def run():
        connector = aiohttp.TCPConnector(limit=4)
        async with aiohttp.ClientSession(connector=connector) as session:
            async def poll(i):
                url = two_cameras[i % 2]
                where = f"http://127.0.0.1:{patient.snapshot_port}/snapshot"
                async with session.get(where, params={"cam_url": url}) as answer:
                    data = await answer.read()
                    return answer.status, jpeg_size(data)
            return await asyncio.gather(*(poll(i) for i in range(60)))
    answers = asyncio.run(run())
    assert {status for status, _ in answers} == {200}
    assert len({size for _, size in answers[0::2]}) == 1 and len({size for _, size in answers[1::2]}) == 1
    assert answers[0][1] != answers[1][1], "a picture of the other camera"


def test_curl(patient, two_cameras, tmp_path):
    base = f"http://127.0.0.1:{patient.snapshot_port}"
    targets = [base + snapshot_target(url) for url in two_cameras for _ in range(3)] + [base + "/healthz"]
    command = ["curl", "-sS", "-w", "%{num_connects} %{http_code}\n"]
    for i, target in enumerate(targets):
        command += ["-o", str(tmp_path / f"{i}"), target]
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode().splitlines()
    assert [line.split()[1] for line in lines] == ["200"] * len(targets)
    assert sum(int(line.split()[0]) for line in lines) == 1, "more than one connection"


GO_CLIENT = """package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
)

func main() {
	connections := 0
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if !info.Reused {
			connections++
		}
	}}
	for i := 0; i < 20; i++ {
		request, err := http.NewRequest("GET", os.Args[1+i%(len(os.Args)-1)], nil)
		if err != nil {
			panic(err)
		}
		answer, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
		if err != nil {
			panic(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || n != answer.ContentLength {
			panic(fmt.Sprint(err, answer.Status, n, answer.ContentLength))
		}
	}
	fmt.Println(connections)
}
"""


def test_go(patient, two_cameras, tmp_path):
    source = tmp_path / "poll.go"
    source.write_text(GO_CLIENT)
    environment = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "HOME": str(tmp_path), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", str(tmp_path / "poll"), str(source)], check=True, timeout=300, env=environment)
    base = f"http://127.0.0.1:{patient.snapshot_port}"
    output = subprocess.run([str(tmp_path / "poll")] + [base + snapshot_target(url) for url in two_cameras],
                            stdout=subprocess.PIPE, check=True, timeout=60).stdout
    assert int(output) == 1


# --- one connection -----------------------------------------------------------------------------

def test_other_cameras_on_one_connection(patient, two_cameras):
    sizes = [None, None]
    with Line(patient.snapshot_port) as line:
        for i in range(12):
            which = i % 2 if i < 6 else (i // 3) % 2
            status, headers, body = line.ask(snapshot_target(two_cameras[which]))
            assert status == 200
            assert jpeg_size(body) == tuple(map(int, headers["x-snapshot-size"].split("x")))
            assert sizes[which] in (None, jpeg_size(body))
            sizes[which] = jpeg_size(body)
        assert sizes[0] != sizes[1]
        assert line.ask("/nothing")[0] == 404
        assert line.ask(snapshot_target(two_cameras[0], width=3))[0] == 400
        assert line.ask(snapshot_target("rtsp://127.0.0.1:1/x"))[0] == 502
        assert line.ask(snapshot_target(two_cameras[1]))[0] == 200
        line.send(snapshot_target(two_cameras[1]), method="HEAD")
        assert line.receive(body=False)[0] == 200
        status, headers, _ = line.ask(snapshot_target(two_cameras[0]), "Connection: close")
        assert status == 200 and headers["connection"] == "close"
        assert line.receive() is None


def test_pipelined_requests_are_answered_in_order(patient, two_cameras):
    targets = [snapshot_target(two_cameras[0])] * 3 + [snapshot_target(two_cameras[1]), "/healthz",
               snapshot_target(two_cameras[1]), "/nothing", snapshot_target(two_cameras[0])]
    with Line(patient.snapshot_port) as line:
        line.sock.sendall("".join(f"GET {t} HTTP/1.1\r\nHost: x\r\n\r\n" for t in targets).encode())
        answers = [line.receive() for _ in targets]
    assert [a[0] for a in answers] == [200, 200, 200, 200, 200, 200, 404, 200]
    first, second = jpeg_size(answers[0][2]), jpeg_size(answers[3][2])
    assert first != second
    assert [jpeg_size(answers[i][2]) for i in (1, 2, 7)] == [first] * 3 and jpeg_size(answers[5][2]) == second
    assert answers[4][2] == b"ok\n"


def test_request_in_pieces(patient, two_cameras):
    """Byte by byte, also where the worker reads it; the second half for another camera than the first promised."""
    with Line(patient.snapshot_port) as line:
        assert line.ask(snapshot_target(two_cameras[0]))[0] == 200
        for target in (snapshot_target(two_cameras[0]), snapshot_target(two_cameras[1])):
            data = f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            for i in range(0, len(data), 7):
                line.sock.sendall(data[i:i + 7])
                time.sleep(0.01)
            assert line.receive()[0] == 200
        data = f"GET {snapshot_target(two_cameras[0])} HTTP/1.1\r\nHost: x\r\n".encode()
        line.sock.sendall(data)
        time.sleep(1.5)  # longer than a worker keeps it
        line.sock.sendall(b"\r\n")
        assert line.receive()[0] == 200


@pytest.mark.parametrize("garbage", [b"\0\1\2\3\r\n\r\n", b"GET\r\n\r\n", b"BREW / HTCPCP/1.0\r\n\r\n"])
def test_garbage_after_a_request(patient, two_cameras, garbage):
    with Line(patient.snapshot_port) as line:
        assert line.ask(snapshot_target(two_cameras[0]))[0] == 200
        line.sock.sendall(garbage)
        status, headers, body = line.receive()
        assert status == 400 and json.loads(body)["error"]["code"] == "bad_request"
        assert headers["connection"] == "close"
        assert line.receive() is None


def test_half_closed(patient, two_cameras):
    with Line(patient.snapshot_port) as line:
        line.send(snapshot_target(two_cameras[0]))
        line.sock.shutdown(socket.SHUT_WR)
        assert line.receive()[0] == 200
        assert line.receive() is None


def test_post_with_a_body_ends_the_connection(patient, two_cameras):
    with Line(patient.snapshot_port) as line:
        target = snapshot_target(two_cameras[0])
        line.sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".encode())
        status, headers, _ = line.receive()
        assert status == 200 and headers["connection"] == "close"
        assert line.receive() is None
    with Line(patient.snapshot_port) as line:
        for _ in range(2):
            line.sock.sendall(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            assert line.receive()[0] == 200


def test_http_1_0_is_closed(patient, two_cameras):
    with Line(patient.snapshot_port) as line:
        line.sock.sendall(f"GET {snapshot_target(two_cameras[0])} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode())
        status, headers, _ = line.receive()
        assert status == 200 and headers["connection"] == "close"
        assert line.receive() is None


def test_worker_that_dies_between_two_requests(make_gateway, make_camera):
    """A new answer or a clean close; the other camera is not touched."""
    gateway = make_gateway(QUICK.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 20000"))
    camera, other = make_camera(), make_camera()
    with gateway.view(other.url()) as viewer:
        viewer.wait_frames(5)
        for wait_s in (0, 1.6):  # the worker has the connection, the master has it
            with Line(gateway.snapshot_port) as line:
                assert line.ask(snapshot_target(camera.url()))[0] == 200
                time.sleep(wait_s)
                (worker,) = gateway.worker_of(camera.port)
                os.kill(worker, 9)
                wait_for(lambda: worker not in gateway.busy_workers(), 10, "the death")
                try:
                    line.send(snapshot_target(camera.url()))
                    answer = line.receive()
                except OSError:
                    answer = None
                assert answer is None or answer[0] in (200, 503)
                assert wait_s == 0 or answer is not None, "the master's connection was lost"
        viewer.wait_more(5)


def test_rights_are_looked_at_again(make_gateway, make_camera):
    gateway = make_gateway(QUICK + "\n[access]\ntoken = secret\n")
    camera = make_camera()
    with Line(gateway.snapshot_port) as line:
        target = snapshot_target(camera.url())
        assert line.ask(target, "Authorization: Bearer secret")[0] == 200
        assert line.ask(target)[0] == 401
        assert line.ask(target, "Authorization: Bearer wrong!")[0] == 401
        assert line.ask(target, "Authorization: Bearer secret")[0] == 200


def test_requests_are_counted(make_gateway, make_camera):
    """max_requests_per_minute holds on one connection, too."""
    gateway = make_gateway(QUICK + "\n[server]\nmax_requests_per_minute = 20\n")
    camera = make_camera()
    with Line(gateway.snapshot_port) as line:
        statuses = [line.ask(snapshot_target(camera.url()))[0] for _ in range(40)]
    assert statuses[0] == 200 and statuses[-1] == 503


def test_the_worker_leaves_when_nobody_asks(make_gateway, make_camera):
    """An idle connection keeps no camera connected, and serves when it is used again."""
    gateway = make_gateway(QUICK)
    camera = make_camera()
    with Line(gateway.snapshot_port) as line:
        assert line.ask(snapshot_target(camera.url()))[0] == 200
        wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
        assert line.ask(snapshot_target(camera.url()))[0] == 200


def test_drain_closes_idle_connections(make_gateway, make_camera):
    gateway = make_gateway(QUICK)
    camera = make_camera()
    with Line(gateway.snapshot_port) as line, Line(gateway.snapshot_port) as idle:
        assert line.ask(snapshot_target(camera.url()))[0] == 200
        assert idle.ask("/healthz")[0] == 200
        os.kill(gateway.pid, signal.SIGTERM)
        assert line.receive() is None and idle.receive() is None
