"""The stream port as HTTP: statuses, error codes, methods, CORS, limits of a request."""
import socket

import pytest

from lib.http import Answer, connect, encode, exchange, head_bytes, read_all, request
from lib.wait import wait_for

ORIGIN = "https://page.example"


def assert_error(answer, status, code):
    assert (answer.status, answer.code) == (status, code), (answer.status, answer.body)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["connection"] == "close"
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert int(answer.headers["content-length"]) == len(answer.body) < 1024
    assert answer.error["message"]
    return answer


BAD_REQUESTS = [
    ("/?cam_url=", 400, "missing_camera"),
    ("/x.flv", 400, "missing_camera"),
    ("/?url=rtsp://10.0.0.9/cam", 400, "missing_camera"),
    ("/x.flv?audio=none", 400, "missing_camera"),
    ("/?cam_url=" + encode("ftp://10.0.0.9/x"), 400, "unsupported_scheme"),
    ("/?cam_url=file:///etc/passwd", 400, "unsupported_scheme"),
    ("/?cam_url=" + encode("rtsp://"), 400, "bad_camera_url"),
    ("/?cam_url=" + encode("rtsp:///cam"), 400, "bad_camera_url"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9:99999/cam"), 400, "bad_camera_url"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/a\r\nX: y"), 400, "bad_camera_url"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/cam") + "&hevc=modern", 400, "bad_parameter"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/cam") + "&audio=mp3", 400, "bad_parameter"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/cam") + "&cam_type=carrier-pigeon", 400, "bad_parameter"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/cam") + "&cam_type=rtmp", 400, "bad_parameter"),
    ("/?cam_url=" + encode("rtsp://10.0.0.9/cam") + "&join=later", 400, "bad_parameter"),
    ("/?cam_url=rtsp://10.0.0.9/cam&hevc=modern", 400, "bad_parameter"),
    ("/?cam=nobody", 404, "unknown_camera"),
    ("/nowhere", 404, "not_found"),
    ("/nowhere?cam_url=" + encode("rtsp://10.0.0.9/cam"), 404, "not_found"),
]


@pytest.mark.parametrize("target,status,code", BAD_REQUESTS)
def test_errors(shared_gateway, target, status, code):
    assert_error(shared_gateway.request(target), status, code)
    # Players run in pages of other origins: an error without CORS headers is unreadable there.
    answer = assert_error(shared_gateway.request(target, headers={"Origin": ORIGIN}), status, code)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in answer.headers.get("vary", "").lower()


def test_bad_parameter_says_what_it_takes(shared_gateway):
    answer = shared_gateway.get("rtsp://10.0.0.9/cam", hevc="modern")
    assert all(word in answer.error["message"] for word in ("hevc", "enhanced", "legacy"))


def test_error_hides_the_password(shared_gateway):
    answer = shared_gateway.get("rtsp://admin:sesame-42@10.0.0.9/cam", hevc="modern")
    assert b"sesame-42" not in answer.body and b"admin" not in answer.body
    if "camera" in answer.error:
        assert answer.error["camera"] == "rtsp://***@10.0.0.9/cam"
    assert "sesame-42" not in shared_gateway.log()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_methods_not_allowed(shared_gateway, method):
    answer = assert_error(shared_gateway.get("rtsp://10.0.0.9/cam", method=method), 405, "method_not_allowed")
    assert {"GET", "HEAD", "OPTIONS"} <= {m.strip() for m in answer.headers["allow"].split(",")}


def test_preflight(shared_gateway):
    answer = shared_gateway.get("rtsp://10.0.0.9/cam", method="OPTIONS", headers={
        "Origin": ORIGIN, "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range, x-player"})
    assert answer.status in (200, 204) and answer.body == b""
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "range" in answer.headers["access-control-allow-headers"].lower()


def test_options_without_origin(shared_gateway):
    answer = shared_gateway.request("/", method="OPTIONS")
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "*"


def test_head_of_an_error(shared_gateway):
    answer = shared_gateway.request("/nowhere", method="HEAD")
    assert answer.status == 404 and answer.body == b""


def test_long_target(shared_gateway):
    target = "/?cam_url=rtsp://10.0.0.9/" + "a" * 70000
    assert_error(shared_gateway.request(target), 414, "uri_too_long")


def test_long_header(shared_gateway):
    answer = shared_gateway.get("rtsp://10.0.0.9/cam", headers={"X-Filler": "b" * 70000})
    assert_error(answer, 431, "header_too_large")


def test_many_headers(shared_gateway):
    headers = {f"X-Filler-{i}": "b" * 100 for i in range(700)}
    assert_error(shared_gateway.get("rtsp://10.0.0.9/cam", headers=headers), 431, "header_too_large")


@pytest.mark.parametrize("garbage", [
    b"\0\1\2\3\4\5\6\7\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x7f" * 200,  # TLS ClientHello
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
    b"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
])
def test_garbage(shared_gateway, garbage):
    """Answered with 400, or cut: never left open, and the server lives on."""
    with connect(shared_gateway.flv_port) as sock:
        sock.sendall(garbage)
        reply = read_all(sock)
    if reply:
        assert Answer(reply).status in (400, 505)
    assert shared_gateway.request("/nowhere").status == 404


def test_head_in_single_bytes(shared_gateway):
    with connect(shared_gateway.flv_port) as sock:
        for byte in head_bytes("/nowhere"):
            sock.sendall(bytes([byte]))
        assert Answer(read_all(sock)).status == 404


def test_http_1_0(shared_gateway):
    assert Answer(exchange(shared_gateway.flv_port, b"GET /nowhere HTTP/1.0\r\n\r\n")).status == 404


def test_half_closed_client_gets_its_answer(shared_gateway):
    with connect(shared_gateway.flv_port) as sock:
        sock.sendall(head_bytes("/nowhere"))
        sock.shutdown(socket.SHUT_WR)
        assert Answer(read_all(sock)).status == 404


def test_slow_head_times_out(shared_gateway):
    """A client that never finishes its head gets 408 and is cut; bytes that trickle do not help it."""
    with connect(shared_gateway.flv_port, timeout=60) as idle, connect(shared_gateway.flv_port, timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nX: ")
        slow.setblocking(False)
        received = b""

        def ended():
            nonlocal received
            try:
                slow.send(b"y")
            except OSError:
                pass
            try:
                chunk = slow.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            received += chunk
            return not chunk
        wait_for(ended, 60, "the slow client to be cut", interval=0.2)
        assert_error(Answer(received), 408, "request_timeout")
        idle_reply = read_all(idle)  # it sent nothing at all: 408 or just an end
        assert idle_reply == b"" or Answer(idle_reply).status == 408


def test_healthz(shared_gateway):
    answer = request(shared_gateway.snapshot_port, "/healthz")
    assert answer.status == 200
