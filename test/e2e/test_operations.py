"""What an operator does: stop a stream, limits, metrics."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from conftest import QUICK
from lib.gateway import remote_ports
from lib.http import Answer, Viewer, connect, head_bytes, read_all, request, stream_target
from lib.snapshot import MjpegViewer
from lib.wait import holds_for, wait_for


def api(gateway, path="/api/streams"):
    answer = request(gateway.snapshot_port, path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


# --- stopping a stream ----------------------------------------------------------------------------

def test_delete_stops_a_stream(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        stream = api(gateway)["streams"][0]["id"]
        assert request(gateway.snapshot_port, "/api/streams/" + stream, "DELETE").status == 204
        wait_for(lambda: viewer.closed_by_server, 20, "the viewer to be closed")
    viewer.flv.check()
    wait_for(lambda: camera.open_connections() == 0, 20, "the camera to be left")
    wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    answer = request(gateway.snapshot_port, "/api/streams/" + stream, "DELETE")
    assert (answer.status, answer.code) == (404, "not_found")
    with gateway.view(camera.url()) as viewer:  # it can be asked for again
        viewer.wait_frames(2)


def delete(gateway, stream, **headers):
    return request(gateway.snapshot_port, "/api/streams/" + stream, "DELETE", headers)


def test_web_pages_cannot_stop_a_stream(gateway, camera):
    """Of whatever origin: a page whose name was made to lead here (DNS rebinding) has the server's own."""
    here = f"gateway.example:{gateway.snapshot_port}"
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        stream = api(gateway)["streams"][0]["id"]
        for origin in ("http://evil.example", "http://" + here, "null", "http://" + "a" * 500 + ".example"):
            answer = delete(gateway, stream, Host=here, Origin=origin)
            assert (answer.status, answer.code) == (403, "origin_not_allowed"), origin
            assert "Origin" in answer.error["message"]
        viewer.wait_more(5)
        assert delete(gateway, stream, Host=here).status == 204
        viewer.wait_closed()


def test_web_pages_with_the_token_can_stop_a_stream(make_gateway, camera):
    gateway = make_gateway("[access]\ntoken = tok\n" + QUICK)
    with gateway.view(camera.url(), token="tok") as viewer:
        viewer.wait_frames(5)
        stream = api(gateway, "/api/streams?token=tok")["streams"][0]["id"]
        assert delete(gateway, stream, Origin="http://wall.example").status == 401
        answer = delete(gateway, stream, Origin="http://wall.example", Authorization="Bearer tok")
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, "http://wall.example")
        viewer.wait_closed()


def test_stopped_always_on_camera_waits_for_a_request(make_gateway, camera):
    gateway = make_gateway(QUICK + f'[camera "door"]\nurl = {camera.url()}\nalways_on = yes\n')
    wait_for(lambda: camera.plays == 1, 30, "the camera")
    assert request(gateway.snapshot_port, "/api/streams/door", "DELETE").status == 204
    wait_for(lambda: camera.open_connections() == 0, 20, "the camera to be left")
    holds_for(lambda: camera.open_connections() == 0, 3, "it is left alone")
    assert request(gateway.snapshot_port, "/snapshot?cam=door", timeout=60).status == 200


@pytest.mark.parametrize("target", ["/api/streams", "/api/cameras", "/snapshot", "/healthz"])
def test_delete_is_for_one_stream_only(gateway, target):
    answer = request(gateway.snapshot_port, target, "DELETE")
    assert (answer.status, answer.code) == (405, "method_not_allowed")


# --- limits ---------------------------------------------------------------------------------------

def test_viewers_per_camera(make_gateway, make_camera):
    gateway = make_gateway("[server]\nmax_viewers_per_camera = 2\n" + QUICK)
    first, second = make_camera(), make_camera()
    with gateway.view(first.url()) as a, gateway.view(first.url()) as b:
        a.wait_frames(2)
        b.wait_frames(2)
        answer = gateway.get(first.url())
        assert (answer.status, answer.code) == (503, "too_many_viewers")
        assert int(answer.headers["retry-after"]) >= 1
        with gateway.view(second.url()) as other:
            other.wait_frames(2)


def test_snapshots_are_no_viewers(make_gateway, camera):
    """They neither use up the places of viewers nor need one."""
    gateway = make_gateway("[server]\nmax_viewers_per_camera = 2\nmax_viewers = 3\n" + QUICK)
    target = stream_target(camera.url(), path="/snapshot")

    def poll(count):
        assert [request(gateway.snapshot_port, target, timeout=60).status for _ in range(count)] == [200] * count
    poll(10)
    with gateway.view(camera.url()) as first:
        first.wait_frames(2)
        poll(10)
        with gateway.view(camera.url()) as second:
            second.wait_frames(2)
            poll(10)
            assert gateway.get(camera.url()).code == "too_many_viewers"


def test_snapshots_that_wait_are_no_viewers(make_gateway, camera):
    """A camera that sends nothing yet: who waits for one picture stands in no count and needs no viewer's place."""
    gateway = make_gateway("[server]\nmax_viewers_per_camera = 2\nmax_viewers = 2\n"
                           "[camera]\nconnect_timeout_ms = 200000\nidle_timeout_ms = 1000\n")
    camera.muted.set()

    def viewers():
        now = metrics(gateway)
        return [stream["viewers"] for stream in api(gateway)["streams"]] + [
            count for (name, _), count in now.items() if name in ("cam_httpflv_viewers", "cam_httpflv_camera_viewers")]

    with ExitStack() as stack:
        waiting = []

        def ask_for_picture():
            sock = stack.enter_context(connect(gateway.snapshot_port, 200))
            sock.sendall(head_bytes(stream_target(camera.url(), path="/snapshot")))
            waiting.append(sock)
            ports = {sock.getsockname()[1] for sock in waiting}
            worker = wait_for(lambda: gateway.worker_of(camera.port), 30, "the worker to connect")[0]
            wait_for(lambda: ports <= remote_ports(worker), 30, "the worker to have the request")
        for _ in range(3):
            ask_for_picture()
        viewer = stack.enter_context(gateway.view(camera.url()))
        wait_for(lambda: viewers() == [1] * 3, 30, viewers)
        pictures = stack.enter_context(MjpegViewer(gateway, camera.url()))
        wait_for(lambda: viewers() == [2] * 3, 30, viewers)
        assert gateway.get(camera.url()).code == "too_many_viewers"
        ask_for_picture()
        camera.muted.clear()
        assert [Answer(read_all(sock)).status for sock in waiting] == [200] * 4
        viewer.wait_frames(2)
        wait_for(lambda: pictures.parts, 60, "a picture for the MJPEG viewer")


def test_requests_per_client(make_gateway):
    gateway = make_gateway("[server]\nmax_requests_per_minute = 5\n" + QUICK)
    codes = [request(gateway.snapshot_port, "/api/streams").status for _ in range(8)]
    assert codes == [200] * 5 + [503] * 3
    answer = request(gateway.snapshot_port, "/api/streams")
    assert answer.code == "overloaded" and int(answer.headers["retry-after"]) >= 1
    assert request(gateway.snapshot_port, "/healthz").status == 200


# --- log ------------------------------------------------------------------------------------------

def test_log_has_a_line_for_each_change_and_each_end(gateway, camera):
    with gateway.view(camera.url()) as viewer, MjpegViewer(gateway, camera.url()) as pictures:
        viewer.wait_frames(5)
        wait_for(lambda: pictures.parts, 60, "a picture")
    for line in (r"camera idle -> connecting", r"camera connecting -> streaming", r"viewer gone: .*[\d.]+ s, \d+ bytes",
                 r"MJPEG viewer gone: [\d.]+ s, \d+ bytes", r"camera streaming -> idle"):
        wait_for(lambda: re.search(line, gateway.log()), 20, line)  # pylint: disable=cell-var-from-loop


def refusals(gateway, words):
    """(lines, requests that they tell of)."""
    lines = [line for line in gateway.log().splitlines() if words in line]
    others = [re.search(r"\((\d+) more before\)$", line) for line in lines]
    return len(lines), len(lines) + sum(int(found.group(1)) for found in others if found)


@pytest.mark.parametrize("port, status, words", [("snapshot_port", 401, " refused: unauthorized: "),
                                                 ("flv_port", 502, "viewer refused: camera_not_found: ")])
def test_refused_requests_do_not_fill_the_log(make_gateway, make_camera, port, status, words):
    """By the master and by a worker: some a second of each kind are logged, all are told of."""
    target = "/api/streams" if port == "snapshot_port" else stream_target(make_camera(paths=["/cam"]).url("/gone"), token="tok")
    patient = QUICK.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 60000")  # the worker counts, and shall stay: see interval, too
    gateway = make_gateway("[access]\ntoken = tok\n" + patient)
    asked, start = 200, time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: request(getattr(gateway, port), target, timeout=60).status, range(asked)))
    assert set(answers) == {status}
    seconds = time.monotonic() - start

    def all_told():
        """Once more, when the second is over."""
        nonlocal asked
        asked += 1
        request(getattr(gateway, port), target, timeout=60)
        return refusals(gateway, words)[1] == asked
    wait_for(all_told, 30, lambda: f"{asked} requests to be told of: {refusals(gateway, words)}", interval=0.5)
    assert refusals(gateway, words)[0] <= 5 * (seconds + 2) + asked - 200


# --- metrics --------------------------------------------------------------------------------------

SAMPLE = re.compile(r'^(cam_httpflv_\w+)(?:\{(.*)\})? (\S+)$')


def metrics(gateway):
    """{(name, labels): value}"""
    answer = request(gateway.snapshot_port, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    result = {}
    for line in answer.body.decode().splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        assert (name, labels or "") not in result, f"{name} twice"
        result[name, labels or ""] = float(value)
    return result


def test_metrics_of_a_stream(make_gateway, make_camera):
    camera = make_camera()
    gateway = make_gateway(QUICK + f'[camera "door"]\nurl = {camera.url()}\n', secrets=["s3cret"])
    with gateway.view(camera.url()) as other:  # the ID before anybody asked for the name
        other.wait_frames(2)
    wait_for(lambda: not gateway.busy_workers(), 20, "the worker to leave")
    with gateway.view("", raw=True) as refused:
        refused.wait_status()
    with_name = request(gateway.snapshot_port, "/snapshot?cam=door", timeout=60)
    assert with_name.status == 200
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(80)

        def counted():
            now = metrics(gateway)
            return now if now.get(("cam_httpflv_camera_join_seconds_count", 'camera="door"')) == 1 else None
        wait_for(counted, 20, "the worker's report", interval=0.2)
        wait_for(lambda: metrics(gateway)["cam_httpflv_camera_key_frame_interval_seconds", 'camera="door"'] > 0, 20,
                 "two key frames", interval=0.2)
        now = metrics(gateway)
        door = 'camera="door"'
        assert now["cam_httpflv_camera_state", door + ',state="streaming"'] == 1
        assert sum(v for (n, _), v in now.items() if n == "cam_httpflv_camera_state") == 1
        assert now["cam_httpflv_cameras", 'state="streaming"'] == 1
        assert now["cam_httpflv_camera_viewers", door] == now["cam_httpflv_viewers", ""] == 1
        assert now["cam_httpflv_camera_received_frames_total", door] >= 25
        assert 0 < now["cam_httpflv_camera_received_bytes_total", door] < now["cam_httpflv_received_bytes_total", ""]
        assert now["cam_httpflv_camera_sent_bytes_total", door] > 10000
        assert 0.9 < now["cam_httpflv_camera_key_frame_interval_seconds", door] < 1.1
        assert now["cam_httpflv_camera_snapshot_seconds_count", door] == 1
        assert 0 < now["cam_httpflv_camera_join_seconds_sum", door] < 10
        assert now["cam_httpflv_join_seconds_count", ""] == 2  # one of the worker that has left
        assert now["cam_httpflv_camera_resident_memory_bytes", door] > 1e6
        assert now["cam_httpflv_resident_memory_bytes", ""] > 1e6
        assert now["cam_httpflv_refused_requests_total", 'code="missing_camera"'] == 1
        camera.drop()
        wait_for(lambda: metrics(gateway).get(("cam_httpflv_camera_reconnects_total",
                                               door + ',reason="camera_unreachable"')) == 1, 20, "the reconnect")
        wait_for(lambda: gateway.worker_of(camera.port), 20, "the camera to be back")
        os.kill(gateway.worker_of(camera.port)[0], signal.SIGKILL)
        wait_for(lambda: metrics(gateway)["cam_httpflv_worker_restarts_total", ""] == 1, 20, "the worker's death")


def test_metrics_hold_no_url(make_gateway, make_camera):
    camera = make_camera(user="admin", password="s3cret-pass")
    gateway = make_gateway(QUICK, secrets=["s3cret-pass"])
    with gateway.view(camera.url(user="admin", password="s3cret-pass")) as viewer:
        viewer.wait_frames(2)
        text = request(gateway.snapshot_port, "/metrics").body.decode()
    assert "s3cret" not in text and "rtsp:" not in text and "127.0.0.1" not in text


def test_promtool_accepts_the_metrics(gateway, camera):
    promtool = os.environ.get("CAM_PROMTOOL") or shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian package prometheus) is not installed")
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(2)
        camera.drop()
        viewer.wait_more(5)
        text = request(gateway.snapshot_port, "/metrics").body
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr + done.stdout, (done.stdout + done.stderr).decode()


def test_named_camera_over_two_transports(make_gateway, camera):
    """Two connections, two streams: an ID stands for one of them, as a series of metrics does."""
    patient = QUICK.replace("idle_timeout_ms = 1000", "idle_timeout_ms = 20000")
    gateway = make_gateway(patient + f"[camera \"front\"]\nurl = {camera.url()}\n")
    with Viewer(gateway.flv_port, "/?cam=front&cam_type=rtsp-udp"), Viewer(gateway.flv_port, "/?cam=front"):
        def two_streams():
            ids = {stream["cam_type"]: stream["id"] for stream in api(gateway)["streams"]}
            return ids if len(ids) == 2 else None

        ids = wait_for(two_streams, 60, "two streams")
        assert ids["rtsp-tcp"] == "front" != ids["rtsp-udp"]
        text = request(gateway.snapshot_port, "/metrics").body.decode()
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        assert len(series) == len(set(series))
