"""What a control room asks the server: how every camera is, since when, why, and the last picture's time; alerts."""
import datetime
import json
import os
import re
import socket
import subprocess
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp
from lib.fake_rtsp import FakeCamera
from lib.gateway import ROOT, Gateway, free_port
from lib.http import Viewer, connect, head_bytes, request
from lib.wait import wait_for


def api(gateway, path):
    answer = request(gateway.snapshot_port, path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def cameras(gateway):
    return {camera["name"]: camera for camera in api(gateway, "/api/cameras")["cameras"]}


def streams(gateway):
    return {stream["id"]: stream for stream in api(gateway, "/api/streams")["streams"]}


def series(gateway, name, camera):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    found = re.search(rf'^cam_httpflv_{name}{{camera="{camera}".*}} (\S+)$', text, re.M)
    return found and float(found.group(1))


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def watch(gateway, name):
    return Viewer(gateway.flv_port, f"/?cam={name}")


WANTED_S = 60  # CAMERA_WANTED_MS


@pytest.fixture(scope="module", autouse=True)
def failed_camera(tmp_path_factory):
    """A camera that failed when this module began, and that nobody has asked for since."""
    conf = QUICK.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 30000")
    address = socket.socket()
    address.bind(("127.0.0.1", 0))  # its own, though it does not listen yet
    conf += f'[camera "hall"]\nurl = rtsp://127.0.0.1:{address.getsockname()[1]}/s\n'
    with address, Gateway(tmp_path_factory.mktemp("failed"), conf) as gateway:
        assert request(gateway.flv_port, "/?cam=hall").code == "camera_unreachable"
        wait_for(lambda: cameras(gateway)["hall"]["state"] == "unwatched", 30, "its worker to leave")
        yield gateway, address, time.monotonic()


def test_a_camera_that_nobody_watches_is_listed(make_gateway, camera):
    gateway = make_gateway(QUICK + f'[camera "yard"]\nurl = {camera.url()}\ntitle = 后院\ngroup = Garden\n'
                           f'[camera "gate"]\nurl = {camera.url("/gate")}\n')
    for listed in (cameras(gateway), streams(gateway)):
        assert list(listed) == ["yard", "gate"]
        assert all(one["state"] == "unwatched" and one["last_frame_at"] is None for one in listed.values())
        assert (listed["yard"]["title"], listed["yard"]["group"]) == ("后院", "Garden")
    assert api(gateway, "/api/streams/gate")["state"] == "unwatched"
    assert api(gateway, "/api/streams?cam=gate")["streams"][0]["state"] == "unwatched"
    assert request(gateway.snapshot_port, "/api/streams/gate", "DELETE").status == 204
    assert request(gateway.snapshot_port, "/api/streams/nobody", "DELETE").status == 404
    with watch(gateway, "yard") as viewer:
        yard = wait_for(lambda: [one for one in [api(gateway, "/api/streams/yard")] if one["state"] == "streaming"], 30,
                        "pictures", interval=0.001)[0]
        assert (yard["video_codec"], yard["width"]) == ("H.264", 320)  # known as soon as it streams
        viewer.wait_frames(3)
        assert streams(gateway)["yard"]["state"] == cameras(gateway)["yard"]["state"] == "streaming"
        wait_for(lambda: cameras(gateway)["yard"]["viewers"] == 1, 20, "the viewer to be counted")
        assert cameras(gateway)["gate"]["state"] == "unwatched"
        seen = time.time()
    wait_for(lambda: cameras(gateway)["yard"]["state"] == "unwatched", 30, "the camera to be left")
    yard = cameras(gateway)["yard"]
    assert yard["down_since"] is yard["reason"] is None
    assert seen - 2 < unix(yard["last_frame_at"]) <= time.time()  # it is remembered
    assert series(gateway, "camera_last_frame_timestamp_seconds", "yard") > seen - 2
    assert series(gateway, "camera_viewers", "yard") is None  # its other series have ended
    gateway.reload(QUICK + f'[camera "shed"]\nurl = {camera.url()}\n')  # another name of the same camera
    assert list(cameras(gateway)) == list(streams(gateway)) == ["shed"]
    assert cameras(gateway)["shed"]["last_frame_at"] == yard["last_frame_at"]
    gateway.reload(QUICK)
    wait_for(lambda: streams(gateway) == {}, 20, "the camera to be forgotten")


def test_down_since_and_the_last_picture_hold_through_all_attempts(make_gateway):
    with FakeCamera(fake_rtsp.media()) as camera:
        port = camera.port
        gateway = make_gateway(QUICK + f'[camera "yard"]\nurl = {camera.url()}\nalways_on = yes\n')
        wait_for(lambda: streams(gateway)["yard"]["state"] == "streaming", 30, "pictures")
        assert streams(gateway)["yard"]["down_since"] is None
        assert series(gateway, "camera_down_since_timestamp_seconds", "yard") is None
        before = time.time()
    gone = time.time()
    down = wait_for(lambda: (one := streams(gateway)["yard"])["down_since"] and one, 20, "it to be called down")
    assert down["reason"] == "camera_unreachable" and before - 1 <= unix(down["down_since"]) <= gone + 20
    last = unix(streams(gateway)["yard"]["last_frame_at"])
    assert before - 2 <= last <= gone + 1
    seen = set()

    def attempts():
        for one in (streams(gateway)["yard"], cameras(gateway)["yard"]):
            assert (one["down_since"], one["reason"]) == (down["down_since"], down["reason"])
            assert last <= unix(one["last_frame_at"]) <= gone + 1
            seen.add(one["since"])
        return len(seen) >= 3
    wait_for(attempts, 60, "several attempts")
    assert series(gateway, "camera_down_since_timestamp_seconds", "yard") == pytest.approx(
        unix(down["down_since"]), abs=1.01)
    with FakeCamera(fake_rtsp.media(), port=port):
        wait_for(lambda: streams(gateway)["yard"]["down_since"] is None, 60, "it to be back")
        one = streams(gateway)["yard"]
        assert (one["state"], one["reason"]) == ("streaming", None) and unix(one["last_frame_at"]) > last
        assert series(gateway, "camera_down_since_timestamp_seconds", "yard") is None


def test_a_failure_holds_between_attempts(make_gateway):
    """A page asks every few seconds for a camera that is down; its worker leaves in between."""
    gateway = make_gateway(QUICK + f'[camera "gate"]\nurl = rtsp://127.0.0.1:{free_port()}/s\n')
    seen = set()
    for _ in range(3):
        assert request(gateway.flv_port, "/?cam=gate").code == "camera_unreachable"
        gate = wait_for(lambda: (one := cameras(gateway)["gate"])["state"] == "unwatched" and one, 30, "no worker")
        seen.add((gate["reason"], gate["down_since"], series(gateway, "camera_down_since_timestamp_seconds", "gate")))
    assert len(seen) == 1 and None not in seen.pop()


def test_errors_of_a_named_camera_never_carry_its_url(make_gateway, make_camera):
    locked = make_camera(user="admin", password="right-1")
    port = free_port()
    gateway = make_gateway(QUICK + f'[camera "gone"]\nurl = rtsp://127.0.0.1:{port}/hidden-path\n'
                           f'[camera "rtmp"]\nurl = rtmp://127.0.0.1:{port}/app/hidden-path\n'
                           f'[camera "locked"]\nurl = {locked.url("/hidden-path", "admin", "wrong-1")}\n'
                           "[access]\ncameras = named\n", secrets=["wrong-1"])
    for name in ("gone", "rtmp", "locked", "locked"):  # the last one is answered from memory
        for flv, path in ((True, "/"), (True, "/x.flv"), (False, "/snapshot"), (False, "/mjpeg")):
            answer = request(gateway.flv_port if flv else gateway.snapshot_port, f"{path}?cam={name}")
            assert answer.status == 502 and answer.error["camera"] == name
            for secret in (b"127.0.0.1", b"hidden-path", str(port).encode(), str(locked.port).encode()):
                assert secret not in answer.body, answer.body
    with_url = make_gateway(QUICK).get(f"rtsp://127.0.0.1:{port}/cam")
    assert with_url.error["camera"] == f"rtsp://127.0.0.1:{port}/cam"  # who knows it gets it back


def test_alert_rules():
    """docs/alerts.yaml: each alert fires when it should, says what it should, and is quiet otherwise."""
    rules = os.path.join(ROOT, "docs", "alerts.yaml")
    tests = os.path.join(ROOT, "test", "e2e", "alerts_test.yaml")
    for command in (["check", "rules", rules], ["test", "rules", tests]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    with open(rules, encoding="utf-8") as file, open(tests, encoding="utf-8") as checked:
        assert set(re.findall(r"alert: (\w+)", file.read())) == set(re.findall(
            r"alertname: (\w+)\n\s*exp_alerts", checked.read()))


# --- sub-streams ----------------------------------------------------------------------------------------

def size_of(gateway, target):
    answer = request(gateway.snapshot_port, target, timeout=60)
    assert answer.status == 200, answer.body
    return answer.headers["x-snapshot-source-size"]


def read_until(sock, word):
    data = b""
    while word not in data:
        chunk = sock.recv(65536)
        assert chunk, data[:400]
        data += chunk
    return True


def width(viewer):
    viewer.wait_frames(3)
    return viewer.flv.metadata["width"]


def test_sub_stream(make_gateway, make_camera):
    """The main stream and the sub-stream of one camera, each with its own worker, session and password."""
    main = make_camera(fake_rtsp.media(size="640x360"))
    small = make_camera(fake_rtsp.media(size="320x180"), user="admin", password="right-1")
    text = (QUICK + '[access]\ncameras = named\nsigning_key = key\ntoken = tok\n'
            f'[camera "gate"]\nurl = {main.url()}\nsub = {small.url("/small", "admin", "right-1")}\n'
            f'[camera "yard"]\nurl = {main.url("/yard")}\n')
    gateway = make_gateway(text, secrets=["right-1"])

    def stream(parameters):
        return Viewer(gateway.flv_port, f"/?token=tok&cam={parameters}")
    with stream("gate") as whole, stream("gate&stream=sub") as sub, stream("gate&stream=auto") as auto:
        assert (width(whole), width(sub), width(auto)) == (640, 320, 320)
        assert main.plays == small.plays == 1
        listed = api(gateway, "/api/streams?token=tok")["streams"]
        assert {one["id"]: one["sub_of"] for one in listed} == {"gate": None, "gate:sub": "gate", "yard": None}
        one = api(gateway, "/api/cameras?token=tok")["cameras"][0]
        assert (one["state"], one["sub"]["state"]) == ("streaming", "streaming")
        assert one["sub"]["camera_url"] == f"rtsp://***@127.0.0.1:{small.port}/small"
        wait_for(lambda: api(gateway, "/api/streams/gate:sub?token=tok")["width"] == 320, 20, "its report")
        assert api(gateway, "/api/streams?token=tok&cam=gate&stream=sub")["streams"][0]["id"] == "gate:sub"
        assert size_of(gateway, "/snapshot?token=tok&cam=gate&stream=sub") == "320x180"
        with connect(gateway.snapshot_port, 60) as sock:
            sock.sendall(head_bytes("/mjpeg?token=tok&cam=gate&stream=sub"))
            assert read_until(sock, b"X-Snapshot-Source-Size: 320x180")
        assert size_of(gateway, "/snapshot?token=tok&cam=gate") == "640x360"
        key = api(gateway, "/api/signature?token=tok&cam=gate")
        signed = f"expires={key['expires']}&signature={key['signature']}"
        assert size_of(gateway, f"/snapshot?cam=gate&stream=sub&{signed}") == "320x180"
        assert request(gateway.flv_port, f"/?cam=yard&{signed}").status == 401
        gateway.reload(text.replace("/small", "/other"))  # another URL: its viewers move, the main stream's stay
        wait_for(lambda: small.plays == 2, 30, "the new URL")
        before = len(sub.flv.video)
        wait_for(lambda: len(sub.flv.video) > before + 5, 30, "more pictures")
        assert request(gateway.snapshot_port, "/api/streams/gate:sub?token=tok", "DELETE").status == 204
        wait_for(lambda: sub.closed_by_server and auto.closed_by_server, 20, "its viewers to be disconnected")
        whole.wait_more(5)
    answer = request(gateway.flv_port, "/?token=tok&cam=yard&stream=sub")
    assert (answer.status, answer.code) == (400, "bad_parameter")


def test_sub_stream_that_fails(make_gateway, make_camera):
    """stream=sub says so, stream=auto takes the main stream."""
    camera = make_camera(fake_rtsp.media(size="640x360"))
    gateway = make_gateway(QUICK + f'[camera "gate"]\nurl = {camera.url()}\nsub = rtsp://127.0.0.1:{free_port()}/s\n')
    answer = request(gateway.flv_port, "/?cam=gate&stream=sub")
    assert (answer.status, answer.code, answer.error["camera"]) == (502, "camera_unreachable", "gate:sub")
    sub = cameras(gateway)["gate"]["sub"]
    assert sub["reason"] == "camera_unreachable" and sub["down_since"]
    with Viewer(gateway.flv_port, "/?cam=gate&stream=auto") as viewer:
        assert width(viewer) == 640
    assert cameras(gateway)["gate"]["reason"] is None


def test_an_old_failure_is_dropped_when_somebody_asks_again(failed_camera):
    gateway, address, failed = failed_camera
    assert cameras(gateway)["hall"]["reason"] == "camera_unreachable"  # the last that is known of it
    time.sleep(max(0, failed + WANTED_S + 1 - time.monotonic()))
    assert series(gateway, "camera_down_since_timestamp_seconds", "hall") is None  # nobody wants it
    address.listen()  # and it never answers
    with Viewer(gateway.flv_port, "/?cam=hall"):
        hall = wait_for(lambda: (one := cameras(gateway)["hall"])["state"] == "connecting" and one, 20, "an attempt")
        assert hall["down_since"] is hall["reason"] is None
        assert series(gateway, "camera_down_since_timestamp_seconds", "hall") is None
