"""SIGHUP: every option that a reload may change changes what a running gateway does, the others say that they wait.

Each limit of [camera] and [viewer] goes down and up while the camera streams: what it bounds begins to happen, and no
longer does, in the same processes.
"""
import contextlib
import itertools
import json
import os
import re
import signal
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp
from lib.gateway import ROOT, free_port, remote_ports
from lib.http import Answer, SlowReader, Viewer, connect, encode, exchange, head_bytes, request, stream_target
from lib.scripted_rtsp import Script, ScriptedCamera, certificate
from lib.wait import holds_for, wait_for

LONG_MS = 600000
TESTED = set()  # options that a test below is about


def changes(*options):
    TESTED.update(options)
    return lambda test: test


def config(**values):
    """config(camera__stall_timeout_ms=1000, …): QUICK with these values instead."""
    sections = {"camera": dict(re.findall(r"^(\w+) = (.*)$", QUICK, re.M))}
    for name, value in values.items():
        section, key = name.split("__")
        sections.setdefault(section, {})[key] = value
    return "".join(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
                   for section, keys in sections.items())


def api(gateway, path="/api/streams"):
    answer = request(gateway.snapshot_port, path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def options_of(change):
    """The options that change by RELOAD or START."""
    with open(os.path.join(ROOT, "master", "conf.h"), encoding="utf-8") as file:
        return [f"{section}.{key}" for section, key, when in
                re.findall(r"X\((\w+),\s*(\w+),[^\n]*?(RELOAD|START),", file.read()) if when == change]


# --- [camera] -------------------------------------------------------------------------------------

@changes("camera.transcode")
def test_camera_transcode(make_gateway, make_camera):
    """For players that need it; then for those alone that ask; then for nobody, and who has it loses it."""
    camera = make_camera(fake_rtsp.media("hevc"))
    gateway = make_gateway(config())

    def codec(**parameters):
        with gateway.view(camera.url(), headers={"User-Agent": "Lavf/59.27.100"}, **parameters) as viewer:
            viewer.wait_frames(2)
        return viewer.headers["x-video-codec"]
    assert codec() == "H.264"
    gateway.reload(config(camera__transcode="asked"))
    assert (codec(), codec(allow_h265="false")) == ("H.265", "H.264")
    with gateway.view(camera.url(), allow_h265="false") as viewer:
        viewer.wait_frames(2)
        gateway.reload(config(camera__transcode="never"))
        viewer.wait_closed(20)
    answer = request(gateway.flv_port, stream_target(camera.url(), allow_h265="false"))
    assert (answer.status, answer.code) == (502, "unsupported_codec") and "never" in answer.error["message"]
    assert codec() == "H.265"
    gateway.reload(config())
    assert codec() == "H.264"


@pytest.fixture(params=["rtsp", "http"])
def stalling(request, make_gateway, make_camera):  # pylint: disable=redefined-outer-name
    """(camera, its URL): over HTTP-FLV it is another gateway's, and a thread reads it."""
    camera = make_camera()
    if request.param == "rtsp":
        return camera, camera.url()
    upstream = make_gateway(config(camera__stall_timeout_ms=LONG_MS))
    return camera, f"http://127.0.0.1:{upstream.flv_port}/live.flv?cam_url={encode(camera.url())}"


@changes("camera.stall_timeout_ms")
def test_camera_stall_timeout(make_gateway, stalling):
    camera, url = stalling
    gateway = make_gateway(config(camera__stall_timeout_ms=1000, camera__connect_timeout_ms=20000))

    def losses():
        return gateway.log().count("camera lost")
    with gateway.view(url) as viewer:
        viewer.wait_frames(10)
        gateway.reload(config(camera__stall_timeout_ms=LONG_MS, camera__connect_timeout_ms=20000))
        camera.muted.set()
        holds_for(lambda: losses() == 0, 4, "the silent camera stays connected")
        gateway.reload(config(camera__stall_timeout_ms=1000, camera__connect_timeout_ms=20000))
        wait_for(lambda: losses() == 1, 20, "the silent camera to be given up")
        camera.muted.clear()
        viewer.wait_more(10)
    viewer.flv.check()


@changes("camera.connect_timeout_ms")
def test_camera_connect_timeout(make_gateway, camera):
    """A camera that answers, but sends no picture when it is connected to anew."""
    window = {"camera__reconnect_window_ms": LONG_MS}
    gateway = make_gateway(config(camera__connect_timeout_ms=1000, **window))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        gateway.reload(config(camera__connect_timeout_ms=LONG_MS, **window))
        camera.silent = "play"
        camera.drop()
        wait_for(lambda: camera.plays == 2, 30, "the second connection")
        holds_for(lambda: camera.plays == 2, 4, "the attempt goes on")
        gateway.reload(config(camera__connect_timeout_ms=1000, **window))
        wait_for(lambda: camera.plays >= 4, 30, "attempts to end after a second")
        camera.silent = None
        viewer.wait_more(10)
    viewer.flv.check()


@changes("camera.idle_timeout_ms")
def test_camera_idle_timeout(make_gateway, camera):
    """A worker that would have left stays, and leaves at once when it no longer may."""
    gateway = make_gateway(config())
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(2)
        gateway.reload(config(camera__idle_timeout_ms=3600000))
    holds_for(lambda: camera.open_connections() == 1, 4, "the camera stays connected")
    gateway.reload(config())
    wait_for(lambda: camera.open_connections() == 0, 20, "the camera to be left")


@changes("camera.reconnect_window_ms")
def test_camera_reconnect_window(make_gateway, camera):
    gateway = make_gateway(config(camera__reconnect_window_ms=1000))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        gateway.reload(config(camera__reconnect_window_ms=LONG_MS))
        camera.close()
        wait_for(lambda: "camera lost" in gateway.log(), 20, "the loss")
        holds_for(lambda: not viewer.closed_by_server, 4, "the viewer is kept")
        camera.listen()
        viewer.wait_more(10)
        camera.close()
        wait_for(lambda: gateway.log().count("camera lost") == 2, 20, "the second loss")
        gateway.reload(config(camera__reconnect_window_ms=1000))
        viewer.wait_closed(20)
    viewer.flv.check()


GOP = 50
MIDDLE = 15  # pictures after a key frame


@changes("camera.gop_max_bytes")
def test_camera_gop_max_bytes(make_gateway, make_camera):
    """Who joins in the middle of a GOP that is too big waits for the next; of one that is not, gets it at once."""
    gateway = make_gateway(config())
    loop = fake_rtsp.media("h264", size="1280x720", bit_rate="3M", seconds=4, gop=GOP)
    camera = make_camera(loop)
    place = {nal: number % GOP for number, nal in enumerate(loop.slices())}
    with gateway.view(camera.url()) as first:
        def joins_from_the_middle():
            """Does a viewer that comes in the middle of a GOP begin with that GOP's key frame?"""
            first.wait(lambda v: MIDDLE < place[v.flv.video[-1].pictures()[0]] < 2 * MIDDLE, 60, "the middle of a GOP")
            with gateway.view(camera.url()) as second:
                second.wait_frames(1)
                key = second.flv.video[0].pictures()[0]
            seen = [frame.received for frame in first.flv.video if frame.pictures()[0] == key]
            return bool(seen) and max(seen) < second.started
        first.wait_frames(5)
        wait_for(joins_from_the_middle, 60, "a viewer to join in the middle of a GOP")
        assert gateway.metric("gop_overflows_total") == 0
        gateway.reload(config(camera__gop_max_bytes=65536))
        wait_for(lambda: gateway.metric("gop_overflows_total") > 0, 20, "a GOP to be too big")
        wait_for(lambda: not joins_from_the_middle(), 60, "a viewer to wait for the next GOP")
        gateway.reload(config())
        wait_for(joins_from_the_middle, 60, "a viewer to join in the middle of a GOP again")
    first.flv.check()


class RealTime(Script):
    speed = 1


@changes("camera.tls_verify")
def test_camera_tls_verify(make_gateway, tmp_path):
    """It counts when the camera is connected to anew."""
    window = {"camera__reconnect_window_ms": LONG_MS}
    gateway = make_gateway(config(camera__tls_verify="no", **window))
    with ScriptedCamera(RealTime(), certificate(tmp_path)[0]) as camera, gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        gateway.reload(config(camera__tls_verify="yes", **window))
        viewer.wait_more(10)
        camera.drop_sessions()
        wait_for(lambda: re.search("cannot connect: .*certificate", gateway.log()), 30, "the certificate to be refused")
        before = len(viewer.flv.video)
        gateway.reload(config(camera__tls_verify="no", **window))
        viewer.wait(lambda v: len(v.flv.video) > before + 10, 60, "the camera to be connected again")
    viewer.flv.check()


# --- [viewer] -------------------------------------------------------------------------------------

def busy_camera(make_camera):
    return make_camera(fake_rtsp.media("h264", size="1280x720", bit_rate="6M"))


@changes("viewer.queue_max_ms")
def test_viewer_queue_max(make_gateway, make_camera):
    """A viewer that reads a tenth of the bit rate skips, or falls behind further and further."""
    gateway = make_gateway(config(viewer__queue_max_ms=LONG_MS))
    media = fake_rtsp.media("h264", size="1280x720", bit_rate="6M")
    camera = make_camera(media)
    place = {nal: number for number, nal in enumerate(media.slices())}

    def numbers(flv):
        return [place[frame.pictures()[0]] for frame in flv.video]

    def skips(flv):
        return sum((b - a) % len(place) != 1 for a, b in itertools.pairwise(numbers(flv)))
    with gateway.view(camera.url()) as healthy, \
            SlowReader(gateway.flv_port, stream_target(camera.url()), 300000) as slow:
        healthy.wait_frames(5)

        def read_seconds(seconds):
            until = time.monotonic() + seconds
            slow.read_until(lambda _: time.monotonic() > until, seconds + 60)
        read_seconds(6)
        assert skips(slow.flv) == 0, "it may be ten minutes behind"
        gateway.reload(config(viewer__queue_max_ms=500))
        slow.read_until(lambda flv: skips(flv) >= 2, 60)
        gateway.reload(config(viewer__queue_max_ms=LONG_MS))
        read_seconds(2)  # what was on its way
        before = skips(slow.flv)
        read_seconds(6)
        assert skips(slow.flv) == before, "it may be ten minutes behind again"
    healthy.flv.check()


@changes("viewer.stall_timeout_ms")
def test_viewer_stall_timeout(make_gateway, make_camera):
    """Viewers that read nothing: how long one is kept is measured, the next is kept longer, and then no longer."""
    gateway = make_gateway(config(viewer__stall_timeout_ms=1000))
    camera = busy_camera(make_camera)
    with gateway.view(camera.url()) as healthy:
        healthy.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]

        def stuck():
            sock = connect(gateway.flv_port)
            sock.sendall(head_bytes(stream_target(camera.url())))
            port = sock.getsockname()[1]
            wait_for(lambda: port in remote_ports(worker), 20, "the worker to have the viewer")
            return sock, lambda: port in remote_ports(worker)
        began = time.monotonic()
        sock, connected = stuck()
        with sock:
            wait_for(lambda: not connected(), 90, "the first to be disconnected")
        kept = time.monotonic() - began
        gateway.reload(config(viewer__stall_timeout_ms=LONG_MS))
        sock, connected = stuck()
        with sock:
            holds_for(connected, kept + 5, "the second stays")
            gateway.reload(config(viewer__stall_timeout_ms=1000))
            wait_for(lambda: not connected(), 30, "the second to be disconnected")
        healthy.wait_more(10)
        assert gateway.worker_of(camera.port) == [worker]
    healthy.flv.check()


# --- [server] and [access] ------------------------------------------------------------------------

@changes("server.spare_workers")
def test_spare_workers(make_gateway):
    gateway = make_gateway(config(server__spare_workers=1))
    wait_for(lambda: len(gateway.all_workers()) == 1, 20, "one spare worker")
    gateway.reload(config(server__spare_workers=4))
    wait_for(lambda: len(gateway.all_workers()) == 4, 20, "four spare workers")
    gateway.reload(config(server__spare_workers=0))
    wait_for(lambda: not gateway.all_workers(), 20, "no spare worker")
    assert " error " not in gateway.log()
    gateway.reload(config(server__spare_workers=2))
    wait_for(lambda: len(gateway.all_workers()) == 2, 20, "two spare workers")


@changes("server.log_level")
def test_log_level(make_gateway, camera):
    """In the master, in a worker that has a camera, and in one that gets its camera later."""
    gateway = make_gateway(config(server__log_level="error"), log_level=None)

    def lines(word):
        return [line for line in gateway.log().splitlines() if word in line]

    def view(**parameters):
        with gateway.view(camera.url(), **parameters) as viewer:
            viewer.wait_frames(2)
            return f"client=127.0.0.1:{viewer.local_port}#"
    view()
    assert not lines("viewer gone")
    gateway.reload(config(server__log_level="info"))
    view()
    for word in ("viewer gone", "streaming -> idle", "named cameras"):
        wait_for(lambda: lines(word), 20, word)  # pylint: disable=cell-var-from-loop
    wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    view()
    assert len(wait_for(lambda: lines("idle -> connecting"), 20, "a spare worker that was there before")) == 1
    gateway.reload(config(server__log_level="error", access__token="tok"), word=None)
    wait_for(lambda: request(gateway.snapshot_port, "/api/streams").status == 401, 20, "the reload")
    wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    client = view(token="tok")
    wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    assert not lines(client)


@changes("server.log_format")
def test_log_format(make_gateway, camera):
    """Of the master and of a worker that has a camera."""
    gateway = make_gateway(config())
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(2)
        line = gateway.reload(config(server__log_format="json"))[-1]
        assert json.loads(line)["process"] == "master"
    line = wait_for(lambda: [line for line in gateway.log().splitlines() if "viewer gone" in line], 20, "the worker's line")
    assert json.loads(line[0])["process"] == "worker"
    line = gateway.reload(config())[-1]
    assert re.match(r"\S+Z info master\[\d+\]: ", line), line


@changes("server.max_viewers", "server.max_viewers_per_camera")
@pytest.mark.parametrize("option", ["server__max_viewers", "server__max_viewers_per_camera"])
def test_viewer_limits(make_gateway, camera, option):
    gateway = make_gateway(config(**{option: 1}))
    with gateway.view(camera.url()) as first:
        first.wait_frames(2)
        wait_for(lambda: gateway.metric("viewers") == 1, 20, "the viewer to be counted")
        assert gateway.get(camera.url()).code == "too_many_viewers"
        gateway.reload(config(**{option: 2}))
        with gateway.view(camera.url()) as second:
            second.wait_frames(2)
            wait_for(lambda: gateway.metric("viewers") == 2, 20, "both to be counted")
            gateway.reload(config(**{option: 1}))
            assert gateway.get(camera.url()).code == "too_many_viewers"
            first.wait_more(5)
            second.wait_more(5)


@changes("server.max_requests_per_minute")
def test_requests_per_minute(make_gateway):
    gateway = make_gateway(config(server__max_requests_per_minute=2))

    def statuses(count):
        return {request(gateway.snapshot_port, "/api/streams").status for _ in range(count)}
    assert statuses(5) == {200, 503}
    gateway.reload(config())
    assert statuses(5) == {200}
    gateway.reload(config(server__max_requests_per_minute=2))
    assert 503 in statuses(5)


@changes("server.client_share")
def test_client_share(make_gateway):
    """In percent of 8192 connections whose requests are being read."""
    gateway = make_gateway(config(server__client_share=1))

    def half_heads_left(count):
        with contextlib.ExitStack() as sockets:
            for _ in range(count):
                sockets.enter_context(connect(gateway.flv_port))
            request(gateway.flv_port, "/healthz")  # connections are accepted in order: all of these are
            left = gateway.metric("connections")
        wait_for(lambda: gateway.metric("connections") < 10, 30, "the connections to be gone")
        return left
    assert half_heads_left(200) < 100
    gateway.reload(config(server__client_share=100))
    assert half_heads_left(200) >= 200
    gateway.reload(config(server__client_share=1))
    assert half_heads_left(200) < 100


@changes("server.trusted_proxies")
def test_trusted_proxies(make_gateway):
    def options(proxies):
        return config(server__max_requests_per_minute=1, server__trusted_proxies=proxies)

    def statuses(block):
        """Of two clients, each of whom may ask once."""
        return [request(gateway.snapshot_port, "/api/streams", headers={"X-Forwarded-For": f"192.0.{block}.{n}"}).status
                for n in (1, 2)]
    gateway = make_gateway(options("127.0.0.1"))
    assert statuses(1) == [200, 200]
    gateway.reload(options("10.0.0.0/8"))
    assert statuses(2) == [200, 503]
    gateway.reload(options("127.0.0.0/8, unix"))
    assert statuses(3) == [200, 200]


@changes("server.proxy_protocol")
def test_proxy_protocol(make_gateway):
    def answers(header):
        return Answer(exchange(gateway.snapshot_port, header + head_bytes("/healthz"))).status
    gateway = make_gateway(config())
    assert (answers(b""), answers(b"PROXY UNKNOWN\r\n")) == (200, 400)
    gateway.reload(config(server__proxy_protocol="127.0.0.0/8"))
    assert (answers(b""), answers(b"PROXY UNKNOWN\r\n")) == (400, 200)


@changes("access.token", "access.signing_key")
def test_token(make_gateway):
    gateway = make_gateway(config(), secrets=["tok-1", "tok-2", "key-1"])

    def status(token):
        return request(gateway.snapshot_port, f"/api/streams?token={token}").status
    assert status("") == 200
    gateway.reload(config(access__token="tok-1"))
    assert (status(""), status("tok-1"), status("tok-2")) == (401, 200, 401)
    gateway.reload(config(access__token="tok-2"))
    assert (status("tok-1"), status("tok-2")) == (401, 200)
    gateway.reload(config(access__signing_key="key-1"))
    assert (status(""), status("tok-2")) == (401, 401)  # signed requests only
    gateway.reload(config())
    assert status("") == 200


@changes("access.manage", "access.manage_file")
def test_saved_cameras(make_gateway, tmp_path):
    for name in ("one", "other"):
        (tmp_path / f"{name}.ini").write_text(f'[camera "{name}"]\nurl = rtsp://10.0.0.9/\n')
    gateway = make_gateway(config(access__token="tok"))

    def cameras():
        answer = request(gateway.snapshot_port, "/api/cameras", headers={"Authorization": "Bearer tok"})
        return [camera["name"] for camera in json.loads(answer.body)["cameras"]]
    assert cameras() == []
    for name in ("one", "other"):
        gateway.reload(config(access__token="tok", access__manage="yes", access__manage_file=tmp_path / f"{name}.ini"))
        assert cameras() == [name]
    gateway.reload(config(access__manage="yes"), word="token is needed with it")
    assert cameras() == ["other"]
    gateway.reload(config(access__token="tok"))
    assert cameras() == []


@changes("server.max_cameras", "access.cameras")
def test_reload_applies_limits_and_viewers_stay(make_gateway, make_camera):
    gateway = make_gateway(QUICK)
    first, second = make_camera(), make_camera()
    with gateway.view(first.url()) as viewer:
        viewer.wait_frames(5)
        gateway.reload(QUICK + "[server]\nmax_cameras = 1\n[access]\ncameras = 127.0.0.0/8\n")
        answer = gateway.get(second.url())
        assert (answer.status, answer.code) == (503, "too_many_cameras")
        viewer.wait_more(25)
        assert first.plays == 1
        # A camera that is no longer allowed: who watches it goes on, nobody else comes in.
        gateway.reload(QUICK + "[access]\ncameras = 10.0.0.0/8\n")
        assert gateway.get(first.url()).code == "camera_not_allowed"
        viewer.wait_more(25)
        assert first.plays == 1
    viewer.flv.check()


def test_camera_has_its_name_however_it_is_asked_for(make_gateway, make_camera):
    door, yard = make_camera(), make_camera()
    section = '[camera "{}"]\nurl = {}\n'
    gateway = make_gateway(QUICK + section.format("door", door.url()))

    def names():
        """Name (None: none) -> viewers."""
        return {s["name"]: s["viewers"] for s in api(gateway, "/api/streams")["streams"]}
    with gateway.view(door.url()) as first, gateway.view(yard.url()) as other:
        first.wait_frames(2)
        other.wait_frames(2)
        with Viewer(gateway.flv_port, "/?cam=door") as second:
            second.wait_frames(2)
            wait_for(lambda: names() == {"door": 2, None: 1}, 30, names)
            assert api(gateway, "/api/streams/door")["camera_url"] == door.url()
        # The file may name a camera, or take its name away, while it runs.
        gateway.reload(QUICK + section.format("yard", yard.url()))
        wait_for(lambda: names() == {None: 1, "yard": 1}, 30, names)
        first.wait_more(2)
        other.wait_more(2)


def test_reload_adds_and_removes_always_on_cameras(make_gateway, make_camera):
    old, new = make_camera(), make_camera()
    section = '[camera "door"]\nurl = {}\nalways_on = yes\n'
    gateway = make_gateway(QUICK + section.format(old.url()))
    wait_for(lambda: old.plays == 1, 30, "the first camera")
    gateway.reload(QUICK + section.format(new.url()))
    wait_for(lambda: new.plays == 1, 30, "the second camera")
    wait_for(lambda: old.open_connections() == 0, 30, "the first camera to be left")
    names = [s["name"] for s in api(gateway)["streams"] if s["camera_url"].endswith(f":{new.port}/cam")]
    assert names == ["door"]
    gateway.reload(QUICK)
    wait_for(lambda: new.open_connections() == 0, 30, "the second camera to be left")
    wait_for(lambda: not api(gateway)["streams"], 20, "nothing to be remembered")


def test_bad_file_changes_nothing(make_gateway, camera):
    gateway = make_gateway(QUICK + f'[camera "door"]\nurl = {camera.url()}\n')
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(2)
        line = gateway.reload("[server]\nmax_cameras = many\n", word="stays as it was")[-1]
        assert "error" in line.lower() and ":2:" in line and "max_cameras" in line
        viewer.wait_more(10)
        assert gateway.metric("config_last_reload_successful") == 0
        os.unlink(gateway.config_path)
        for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.unlink)):  # a pipe would be read for ever
            make(gateway.config_path)
            failed = gateway.log().count("only a regular file can be read again")
            os.kill(gateway.pid, signal.SIGHUP)
            wait_for(lambda n=failed: gateway.log().count("only a regular file can be read again") > n, 30, "the reload to fail")
            remove(gateway.config_path)
        assert request(gateway.snapshot_port, "/healthz").status == 200
        viewer.wait_more(10)
    assert [c["name"] for c in api(gateway, "/api/cameras")["cameras"]] == ["door"]
    gateway.reload(QUICK)
    assert gateway.metric("config_last_reload_successful") == gateway.metric("healthy") == 1


# --- what waits for a start -----------------------------------------------------------------------

OTHER = {"server.bind": "::1", "server.flv_port": "1", "server.snapshot_port": "2", "server.user": "nobody",
         "server.group": "daemon", "server.sandbox": "off"}


def test_options_that_need_a_restart_say_so(make_gateway, camera):
    """All of them, by name; the reload changes the rest, and the gateway goes on as it was."""
    assert set(options_of("START")) == set(OTHER), "a new option: give it another value above"
    ports = free_port(), free_port()
    here = {"server__bind": "127.0.0.1", "server__flv_port": ports[0], "server__snapshot_port": ports[1]}
    gateway = make_gateway(config(**here), ports=ports)
    lines = gateway.reload(config(**{name.replace(".", "__"): value for name, value in OTHER.items()}, access__token="tok"))
    assert len(lines) == 2 and " warn " in lines[0], lines
    named = ", ".join(f"[server] {name.split('.')[1]}" for name in options_of("START"))
    assert lines[0].endswith("a restart is needed to change " + named), lines
    with gateway.view(camera.url(), token="tok") as viewer:
        viewer.wait_frames(5)
    assert len(gateway.reload(config(**here))) == 1, "a warning, though all is as at the start"


def test_every_option_of_a_reload_has_a_test():
    assert set(options_of("RELOAD")) == TESTED
