"""One client address takes what it can; clients with another address notice nothing.

The attacker is 127.0.0.1, the others are 127.0.0.2 (lib/bystander).
"""
import contextlib
import json
import os
import resource
import socket
import threading

import pytest

from conftest import QUICK
from lib import processes
from lib.balancer import HAProxy, Nginx
from lib.bystander import ADDRESS, Bystander
from lib.http import Viewer, connect, head_bytes, request, stream_target
from lib.wait import wait_for

PATIENT = QUICK.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 20000")


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_half_heads(sockets, port, count):
    for _ in range(count):
        sock = sockets.enter_context(connect(port))
        with contextlib.suppress(OSError):  # evicted already
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")


def test_half_heads(make_gateway, camera):
    """Connections that never finish their request push out each other, not those of others."""
    gateway = make_gateway(QUICK)
    with Bystander(gateway, camera.url()) as bystander:
        bystander.wait_rounds(3)
        before = processes.private_bytes(gateway.pid)
        with contextlib.ExitStack() as sockets:
            for port in (gateway.flv_port, gateway.snapshot_port):
                open_half_heads(sockets, port, 4600)
                bystander.wait_rounds(5)
            at_most = processes.private_bytes(gateway.pid)
            assert gateway.metric("connections") < 5000
            assert gateway.metric("evicted_connections_total") > 4000
            assert request(gateway.snapshot_port, "/healthz").status == 200  # the attacker is served too
            bystander.wait_rounds(5)
        wait_for(lambda: gateway.metric("connections") < 100, 60, "the connections to be gone")
        wait_for(lambda: processes.private_bytes(gateway.pid) < before + (8 << 20), 30,
                 lambda: f"{processes.private_bytes(gateway.pid)} bytes to go back to {before}")
    print(f"/healthz of others: p99 {bystander.p99_ms():.1f} ms; master: {before >> 20}, {at_most >> 20}, "
          f"{processes.private_bytes(gateway.pid) >> 20} MB")


@pytest.fixture
def tarpit():
    """A camera that accepts connections and never says a word."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=1024)) as sock:
        yield f"rtsp://127.0.0.1:{sock.getsockname()[1]}/"


def ask(sockets, gateway, target, port=None):
    sock = sockets.enter_context(connect(port or gateway.flv_port))
    sock.sendall(head_bytes(target))
    return sock


def test_cameras_that_never_answer(make_gateway, camera, make_camera, tarpit):
    """300 of them at once leave places for the cameras of others, and for those of the configuration."""
    named = make_camera()
    gateway = make_gateway(f'[server]\nmax_cameras = 80\n{PATIENT}[camera "gate"]\nurl = {named.url()}\n')
    with Bystander(gateway, camera.url()) as bystander, contextlib.ExitStack() as sockets:
        for i in range(300):
            ask(sockets, gateway, stream_target(f"{tarpit}{i}"))
        wait_for(lambda: gateway.metric('refused_requests_total{code="client_share"}') >= 200, 60,
                 "the attacker to have its share")
        assert gateway.metric('cameras{state="connecting"}') <= 64  # its share, as every wall of tiles
        other = make_camera()
        with Viewer(gateway.flv_port, stream_target(other.url()), source=ADDRESS) as viewer:
            viewer.wait_frames(2)
        with Viewer(gateway.flv_port, "/?cam=gate") as viewer:  # the attacker's own address, even
            viewer.wait_frames(2)
        bystander.wait_rounds(5)
    print(f"/healthz of others: p99 {bystander.p99_ms():.1f} ms")


def test_cameras_that_nobody_waits_for_leave(make_gateway, make_camera, tarpit):
    """Clients that ask and go keep no places: a camera that somebody wants gets one of them."""
    stays = PATIENT.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 60000")
    gateway = make_gateway("[server]\nmax_cameras = 3\n" + stays)
    with contextlib.ExitStack() as sockets:
        for i in range(3):
            ask(sockets, gateway, stream_target(f"{tarpit}{i}"))
        wait_for(lambda: gateway.metric('cameras{state="connecting"}') == 3, 30, "three cameras")
        assert gateway.get(make_camera().url()).code == "too_many_cameras"

    def served():
        with gateway.view(make_camera().url()) as viewer:
            return viewer.wait_status() == 200
    wait_for(served, 10, "a place for a camera that sends")


def test_places_for_the_configuration(make_gateway, make_camera):
    named, first, second = make_camera(), make_camera(), make_camera()
    gateway = make_gateway(f'[server]\nmax_cameras = 2\n{QUICK}[camera "gate"]\nurl = {named.url()}\n')
    with gateway.view(first.url()) as viewer:
        viewer.wait_frames(2)
        answer = gateway.get(second.url())
        assert answer.code == "too_many_cameras" and "configuration" in answer.error["message"]
        with Viewer(gateway.flv_port, "/?cam=gate") as gate:
            gate.wait_frames(2)


def test_pictures_and_viewers(make_gateway, camera):
    """MJPEG clients and viewers that read nothing, of one address: others still get pictures and streams."""
    gateway = make_gateway("[server]\nmax_viewers = 1000\n" + QUICK)
    with Bystander(gateway, camera.url()) as bystander, contextlib.ExitStack() as sockets:
        mjpeg = stream_target(camera.url(), path="/mjpeg", fps=1, width=64)
        for _ in range(600):
            ask(sockets, gateway, mjpeg, gateway.snapshot_port)
        wait_for(lambda: gateway.metric('refused_requests_total{code="client_share"}') >= 300, 60,
                 "the attacker to have its share of pictures")
        bystander.wait_rounds(5)
        for _ in range(1000):
            ask(sockets, gateway, stream_target(camera.url()))
        wait_for(lambda: gateway.metric('refused_requests_total{code="client_share"}') >= 1000, 60,
                 "the attacker to have its share of viewers")
        assert gateway.metric("viewers") < 600
        for _ in range(20):
            viewer = Viewer(gateway.flv_port, stream_target(camera.url()), source=ADDRESS)
            sockets.enter_context(viewer).wait_frames(2)
        bystander.wait_rounds(5)
    print(f"/healthz of others: p99 {bystander.p99_ms():.1f} ms")


def test_changes_without_end(make_gateway, camera):
    """Requests that change something, so that the lists have to be made anew, and requests for those lists."""
    names = "".join(f'[camera "camera-{n}"]\nurl = rtsp://127.0.0.1:1/{n}\n' for n in range(500))
    gateway = make_gateway(QUICK + names)
    rounds = 0
    with Bystander(gateway, camera.url()) as bystander:
        bystander.wait_rounds(3)
        until = bystander.rounds + 20
        while bystander.rounds < until:
            assert request(gateway.snapshot_port, "/api/streams/camera-7", "DELETE").status == 204
            for target in ("/metrics", "/api/streams", "/api/cameras"):
                assert request(gateway.snapshot_port, target).status == 200
            rounds += 1
    print(f"{rounds} times; /healthz of others: p99 {bystander.p99_ms():.1f} ms")


def test_every_client_is_counted_out(make_gateway, camera, make_camera):
    """Whatever way a client leaves, its place is free again: streams, refused ones, pictures, MJPEG, WebSocket."""
    gateway = make_gateway("[server]\nmax_viewers = 4\n" + QUICK)
    lost = make_camera(paths={"/nothing": 404})
    ws = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    with gateway.view(camera.url()) as kept:
        kept.wait_frames(2)
        for _ in range(8):
            for target, port, headers in [(stream_target(camera.url()), gateway.flv_port, None),
                                          (stream_target(camera.url()), gateway.flv_port, ws),
                                          (stream_target(camera.url(), path="/mjpeg"), gateway.snapshot_port, None),
                                          (stream_target(lost.url("/nothing")), gateway.flv_port, None)]:
                def begun():
                    with connect(port) as sock:
                        sock.sendall(head_bytes(target, headers=headers))
                        answer = sock.recv(400)
                        while answer.startswith(b"HTTP/1.1 101") and answer.endswith(b"\r\n\r\n"):
                            answer += sock.recv(400)  # the stream, or a close frame with the error
                        return b"too_many_viewers" not in answer
                wait_for(begun, 20, f"a place for {target}")
            assert request(gateway.snapshot_port, stream_target(camera.url(), path="/snapshot")).status == 200


def test_guessing_a_password(make_gateway, make_camera):
    """Sixty passwords: the camera hears of three.  Whoever knows the right one is not held up, on any path."""
    camera = make_camera(user="admin", password="right-1")
    gateway = make_gateway(f'{PATIENT}[camera "gate"]\nurl = {camera.url("/gate", "admin", "right-1")}\n',
                           secrets=["right-1", "guess-"])
    answers = []

    def guess(number):
        answers.append(gateway.get(camera.url(user="admin", password=f"guess-{number}")))
    threads = [threading.Thread(target=guess, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.code for answer in answers} == {"camera_unauthorized"}
    assert len(camera.logins()) <= 2 * 3  # one with the password, one more where a nonce was stale
    assert len([a for a in answers if "several passwords" in a.error["message"]]) >= 55
    wrong_on_another_path = gateway.get(camera.url("/other", "admin", "guess-0"))
    assert wrong_on_another_path.code == "camera_unauthorized"

    with Viewer(gateway.flv_port, "/?cam=gate", source=ADDRESS) as viewer:  # never tried before
        viewer.wait_frames(2)
    with gateway.view(camera.url("/other", "admin", "right-1")) as viewer:  # known to be right now
        viewer.wait_frames(2)
    streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    assert len(streams) < 10  # nothing is remembered of what was not tried


def test_guesses_do_not_delay_a_configured_camera(make_gateway, make_camera):
    """Wrong passwords make others wait, but not the operator's, which was never tried before."""
    camera = make_camera(user="admin", password="right-1")
    gateway = make_gateway(f'{PATIENT}[camera "gate"]\nurl = {camera.url("/gate", "admin", "right-1")}\n',
                           secrets=["right-1", "wrong-"])

    def try_one(password):
        answer = gateway.get(camera.url("/other", "admin", password))
        assert answer.code == "camera_unauthorized"
        return answer.error["message"]
    for number in range(3):
        assert "several passwords" not in try_one(f"wrong-{number}")
    assert "several passwords" in try_one("wrong-3")
    assert "several passwords" in try_one("right-1")  # asked for by URL it could be one more guess
    with Viewer(gateway.flv_port, "/?cam=gate") as viewer:
        viewer.wait_frames(2)


def test_a_typing_error_costs_no_wait(make_gateway, make_camera):
    camera = make_camera(user="admin", password="right-1")
    gateway = make_gateway(PATIENT, secrets=["right-1", "wrong-"])
    for number in range(2):
        assert gateway.get(camera.url(user="admin", password=f"wrong-{number}")).code == "camera_unauthorized"
    with gateway.view(camera.url(user="admin", password="right-1")) as viewer:
        viewer.wait_frames(2)


def test_restarts_lock_no_account(make_gateway, make_camera):
    """Restart and DELETE have a rejected password tried again, but the camera hears of three."""
    camera = make_camera(user="admin", password="right-1")
    gateway = make_gateway(f'{PATIENT}[camera "gate"]\nurl = {camera.url("/gate", "admin", "wrong-1")}\n', secrets=["wrong-1"])
    statuses = {"DELETE": [], "POST": []}
    for _ in range(5):
        for method, path in (("POST", "/api/streams/gate/restart"), ("DELETE", "/api/streams/gate")):
            assert request(gateway.snapshot_port, "/snapshot?cam=gate").code == "camera_unauthorized"
            answer = request(gateway.snapshot_port, path, method)
            statuses[method].append(answer.status)
    assert statuses == {"DELETE": [204] * 5, "POST": [204] + [502] * 4}
    assert answer.status == 204 and len(camera.logins()) <= 2 * 3  # one with the password, one more where a nonce was stale


def test_one_password_of_many_cameras(make_gateway, make_camera):
    """Twelve cameras of one recorder that are always connected: it hears the wrong password once.  The right one is not
    held up."""
    camera = make_camera(user="admin", password="right-1")

    def cameras(password):
        return "".join(f'[camera "channel-{number}"]\nalways_on = yes\nurl = {camera.url(f"/{number}", "admin", password)}\n'
                       for number in range(12))

    def reasons(gateway, member):
        streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
        return [stream[member] for stream in streams]
    gateway = make_gateway(PATIENT + cameras("wrong-1"), secrets=["wrong-1"])
    wait_for(lambda: reasons(gateway, "reason") == ["camera_unauthorized"] * 12, 30, lambda: gateway.log()[-4000:])
    assert set(reasons(gateway, "last_error")) == {"camera_unauthorized"}
    assert None not in reasons(gateway, "next_try")
    assert request(gateway.snapshot_port, "/snapshot?cam=channel-7").code == "camera_unauthorized"
    assert len(camera.logins()) <= 2  # one with the password, one more where a nonce was stale
    right = make_gateway(PATIENT + cameras("right-1"), secrets=["right-1"])
    wait_for(lambda: reasons(right, "state") == ["streaming"] * 12, 30, lambda: right.log()[-4000:])


@pytest.mark.parametrize("kind", [HAProxy, Nginx], ids=["haproxy", "nginx"])
def test_clients_behind_a_proxy(make_gateway, tmp_path, kind):
    """With the documented configurations: each client of the proxy has its own share, whatever it claims to be."""
    if not os.path.exists(kind.program):
        pytest.skip(f"{kind.program} is not installed")
    config = "[server]\nmax_requests_per_minute = 3\ntrusted_proxies = 127.0.0.1\n" + QUICK
    gateways = [make_gateway(config) for _ in range(2)]
    with contextlib.closing(kind(tmp_path, gateways)) as balancer:
        wait_for(balancer.healthy, 30, lambda: f"the balancer to answer:\n{balancer.log()}")

        def statuses(source, claims):
            return [request(balancer.snapshot_port, "/snapshot?cam=nobody", source=source,
                            headers={"Connection": "close", "X-Forwarded-For": claim}).status for claim in claims]
        claims = [f"198.51.100.{n}" for n in range(20)]
        assert set(statuses(ADDRESS, claims)) == {404, 503}  # there is no such camera
        assert statuses("127.0.0.3", ["127.0.0.2"]) == [404]
        log = "".join(gateway.log() for gateway in gateways)
    assert "client=127.0.0.2: refused: overloaded" in log
    assert "198.51.100" not in log
