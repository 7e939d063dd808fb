"""Access: tokens, signed URLs, which cameras may be asked for, and where their names may lead."""
import hashlib
import hmac
import time

import pytest

from conftest import QUICK
from lib.http import encode, request
from lib.listener import Listener

TOKEN = "t0ken+/of=the~test"
KEY = "signing-key-of-the-test"


def answers(port, target, method="GET", headers=None):
    answer = request(port, target, method, headers)
    return answer.status, answer.code if answer.status >= 400 else None


def signed(path, camera, expires):
    mac = hmac.new(KEY.encode(), f"{path}\n{camera}\n{expires}".encode(), hashlib.sha256)
    return f"expires={expires}&signature={mac.hexdigest()}"


class Trap(Listener):
    """Listens and counts; answers every request with the given bytes, then hangs up."""

    def __init__(self, address="127.0.0.1", reply=b""):
        self.reply = reply
        super().__init__(address)

    def serve(self, sock):
        sock.settimeout(5)
        sock.recv(4096)
        sock.sendall(self.reply)


# --- who may ask ----------------------------------------------------------------------------------

@pytest.fixture
def guarded(make_gateway, camera):
    return make_gateway(f"{QUICK}[access]\ntoken = {TOKEN}\nsigning_key = {KEY}\n"
                        f"[camera \"door\"]\nurl = {camera.url()}\n", secrets=[TOKEN, KEY])


def test_everything_but_page_and_health_wants_the_token(guarded, camera):
    url = encode(camera.url())
    for port, target in ((guarded.flv_port, f"/?cam_url={url}"), (guarded.flv_port, "/?cam=door"),
                         (guarded.flv_port, "/?cam=nobody"), (guarded.flv_port, "/x.flv"),
                         (guarded.snapshot_port, f"/snapshot?cam_url={url}"), (guarded.snapshot_port, "/mjpeg?cam=door"),
                         (guarded.snapshot_port, "/api/streams"), (guarded.snapshot_port, "/api/cameras"),
                         (guarded.snapshot_port, "/api/streams/x")):
        answer = request(port, target)
        assert (answer.status, answer.code) == (401, "unauthorized"), target
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answers(port, target + "&token=wrong" if "?" in target else target + "?token=wrong") == \
            (401, "unauthorized")
        assert answers(port, target, headers={"Authorization": "Bearer wrong"}) == (401, "unauthorized")
    assert camera.connections == 0
    assert request(guarded.snapshot_port, "/healthz").status == 200
    assert request(guarded.flv_port, "/").status == 200
    assert request(guarded.flv_port, "/play").status == 200
    assert request(guarded.flv_port, "/?cam=door", "OPTIONS").status == 204


def test_token_opens(guarded, camera):
    with guarded.view(camera.url(), token=TOKEN) as viewer:
        viewer.wait_frames(2)
    with guarded.view(camera.url(), headers={"Authorization": f"Bearer {TOKEN}"}) as viewer:
        viewer.wait_frames(2)
    with guarded.view(camera.url() + f"&token={encode(TOKEN)}", raw=True) as viewer:
        viewer.wait_frames(2)
    assert request(guarded.snapshot_port, f"/api/streams?token={encode(TOKEN)}").status == 200
    assert request(guarded.snapshot_port, "/api/streams", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_signed_urls(guarded, camera):
    later, earlier = int(time.time()) + 60, int(time.time()) - 1
    with guarded.view(camera.url() + "&" + signed("/", camera.url(), later), raw=True) as viewer:
        viewer.wait_frames(2)
    url = encode(camera.url())
    assert request(guarded.snapshot_port, f"/snapshot?cam_url={url}&{signed('/snapshot', camera.url(), later)}",
                   timeout=60).status == 200
    assert request(guarded.snapshot_port, f"/snapshot?cam=door&{signed('/snapshot', 'door', later)}",
                   timeout=60).status == 200
    for target in (f"/?cam_url={url}&{signed('/', camera.url(), earlier)}",
                   f"/?cam_url={url}&{signed('/', camera.url() + 'x', later)}",
                   f"/live.flv?cam_url={url}&{signed('/', camera.url(), later)}",
                   f"/?cam=door&{signed('/', 'door', later)}0",
                   f"/?cam=door&{signed('/', 'door', later).replace(str(later), str(later + 1))}"):
        assert answers(guarded.flv_port, target) == (401, "unauthorized"), target


def test_signatures_open_streams_and_pictures_only(guarded):
    """Not status, metrics and changes, whatever was signed; digits may be capitals."""
    later = int(time.time()) + 60
    for method, path in (("GET", "/metrics"), ("GET", "/api/streams"), ("GET", "/api/cameras"),
                         ("GET", "/api/streams/door"), ("DELETE", "/api/streams/door")):
        target = f"{path}?cam=door&{signed(path, 'door', later)}"
        answer = request(guarded.snapshot_port, target, method)
        assert (answer.status, answer.code) == (401, "unauthorized"), target
        assert "streams and pictures only" in answer.error["message"]
    capitals = signed("/snapshot", "door", later).split("=")
    assert request(guarded.snapshot_port, "/snapshot?cam=door&" + "=".join(capitals[:2] + [capitals[2].upper()]),
                   timeout=60).status == 200


# --- which cameras --------------------------------------------------------------------------------

def test_named_cameras_only(make_gateway, camera):
    gateway = make_gateway(f"{QUICK}[access]\ncameras = named\n[camera \"door\"]\nurl = {camera.url()}\n")
    assert answers(gateway.flv_port, f"/?cam_url={encode(camera.url())}") == (403, "camera_not_allowed")
    assert camera.connections == 0
    answer = request(gateway.snapshot_port, "/snapshot?cam=door", timeout=60)
    assert answer.status == 200


def test_list_of_networks(make_gateway, camera):
    gateway = make_gateway(f"{QUICK}[access]\ncameras = 127.0.0.1/32\n")
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(2)
    with gateway.view(camera.url().replace("127.0.0.1", "localhost")) as viewer:
        viewer.wait_frames(2)
    assert answers(gateway.flv_port, "/?cam_url=rtsp://127.0.0.2/x") == (403, "camera_not_allowed")


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp", "http"])
def test_name_that_leads_elsewhere(make_gateway, scheme):
    """The name passes, what it resolves to does not; libc would read the others as 127.0.0.1."""
    gateway = make_gateway(f"{QUICK}[access]\ncameras = 127.0.0.2, 10.0.0.0/8\n")
    with Trap() as trap:
        for host, status in (("localhost", 403), ("2130706433", 400), ("0x7f.1", 400), ("[::ffff:127.0.0.1]", 403)):
            url = encode(f"{scheme}://{host}:{trap.port}/live/x")
            assert answers(gateway.flv_port, f"/?cam_url={url}")[0] == status, host
        assert trap.connections == 0


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize("target", ["127.0.0.2", "localhost"])
def test_redirect_to_a_forbidden_address(make_gateway, scheme, target):
    """Also by name: `localhost` is no name of the list."""
    gateway = make_gateway(f"{QUICK}[access]\ncameras = 127.0.0.3\n")
    address = "127.0.0.1" if target == "localhost" else target
    with Trap(address) as forbidden:
        version = b"RTSP/1.0" if scheme == "rtsp" else b"HTTP/1.1"
        reply = (version + b" 302 Found\r\nCSeq: 1\r\nContent-Length: 0\r\nConnection: close\r\n" +
                 f"Location: {scheme}://{target}:{forbidden.port}/x\r\n\r\n".encode())
        with Trap("127.0.0.3", reply) as camera:
            url = encode(f"{scheme}://127.0.0.3:{camera.port}/x")
            assert answers(gateway.flv_port, f"/?cam_url={url}") == (403, "camera_not_allowed")
            assert camera.connections == 1
        assert forbidden.connections == 0


@pytest.mark.parametrize("location", ["file:///etc/passwd", "rtmp://127.0.0.1/x", "concat:/etc/passwd",
                                      "ftp://127.0.0.1/x"])
def test_redirect_to_another_scheme(gateway, location):
    reply = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: {location}\r\n\r\n".encode()
    with Trap(reply=reply) as camera:
        status, code = answers(gateway.flv_port, "/?cam_url=" + encode(f"http://127.0.0.1:{camera.port}/x"))
        assert status in (502, 504), (status, code)


def test_named_camera_may_be_anywhere(make_gateway, camera):
    """A camera of the configuration file is trusted, and only there: it may not redirect away."""
    with Trap("127.0.0.2") as forbidden:
        reply = f"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.2:{forbidden.port}/x\r\n\r\n".encode()
        with Trap(reply=reply) as redirecting:
            gateway = make_gateway(f"{QUICK}[access]\ncameras = 10.0.0.0/8\n[camera \"door\"]\nurl = {camera.url()}\n"
                                   f"[camera \"away\"]\nurl = rtsp://127.0.0.1:{redirecting.port}/x\n")
            assert request(gateway.snapshot_port, "/snapshot?cam=door", timeout=60).status == 200
            assert answers(gateway.flv_port, "/?cam=away") == (403, "camera_not_allowed")
        assert forbidden.connections == 0


def test_secrets_are_not_shown(guarded):
    import subprocess
    from lib.gateway import binary
    text = subprocess.run([binary(), "--config", guarded.config_path, "--check-config"], capture_output=True, text=True,
                          check=True).stdout
    assert "token = ***" in text and "signing_key = ***" in text
    assert TOKEN not in text and KEY not in text
