"""RTMP and HTTP cameras through the gateway: certificates, rejected passwords, HEVC as FFmpeg writes it."""
import http.server
import subprocess
import threading
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp, ffmpeg
from lib.fake_rtmp import PlayingRtmp, RejectingRtmp
from lib.scripted_rtsp import certificate
from lib.wait import holds_for

REJECTED = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """FLV, some seconds of it."""
    path = tmp_path_factory.mktemp("flv") / "camera.flv"
    media = fake_rtsp.media()
    data = b"".join(b"\0\0\0\1" + nal for unit in media.units for nal in unit)
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-r", "25", "-f", "h264", "-i", "-", "-c", "copy",
                    "-flvflags", "no_duration_filesize", str(path)], input=data, check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture
def flv_camera(recording):
    """start(tls, status) -> an HTTP server that answers the recording, in about three seconds, or that status."""
    servers = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.headers.get("Authorization"))
            if self.server.status != 200:
                self.send_response(self.server.status)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "video/x-flv")
            self.end_headers()
            step = len(recording) // 60
            for at in range(0, len(recording), step):
                self.wfile.write(recording[at:at + step])
                time.sleep(0.05)

        def log_message(self, *_):
            pass

    def start(tls=None, status=200):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # clients that hang up
        server.status, server.asked = status, []
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return server
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# --- certificates ---------------------------------------------------------------------------------

def test_https_with_an_unknown_certificate(gateway, flv_camera, tmp_path):
    camera = flv_camera(certificate(tmp_path)[0])
    answer = gateway.get(f"https://127.0.0.1:{camera.server_port}/camera.flv")
    assert (answer.status, answer.code) == (502, "camera_unreachable")
    assert "certificate is not trusted" in answer.error["message"]
    assert not camera.asked


@pytest.mark.parametrize("verify", ["yes", "no"])
def test_https_with_a_certificate_of_its_own(make_gateway, flv_camera, tmp_path, verify):
    """Taken when its authority is known, or when nobody checks."""
    tls, authority = certificate(tmp_path)
    gateway = make_gateway(QUICK + f"tls_verify = {verify}\n", env={"SSL_CERT_FILE": authority} if verify == "yes" else {})
    camera = flv_camera(tls)
    with gateway.view(f"https://127.0.0.1:{camera.server_port}/camera.flv") as viewer:
        viewer.wait_frames(5)


def test_https_with_the_certificate_of_another_host(make_gateway, flv_camera, tmp_path):
    tls, authority = certificate(tmp_path, "127.0.0.2")
    gateway = make_gateway(QUICK, env={"SSL_CERT_FILE": authority})
    camera = flv_camera(tls)
    answer = gateway.get(f"https://127.0.0.1:{camera.server_port}/camera.flv")
    assert (answer.status, answer.code) == (502, "camera_unreachable")
    assert "certificate" in answer.error["message"]


def test_rtmps_with_an_unknown_certificate(gateway, make_gateway, tmp_path):
    with RejectingRtmp(REJECTED, tls=certificate(tmp_path)[0]) as camera:
        url = f"rtmps://127.0.0.1:{camera.port}/live/camera"
        answer = gateway.get(url)
        assert (answer.status, answer.code) == (502, "camera_unreachable")
        assert "certificate is not trusted" in answer.error["message"]
        assert camera.connects == 0
        # Without the check, what the server says is heard.
        answer = make_gateway(QUICK + "tls_verify = no\n").get(url)
        assert (answer.status, answer.code) == (502, "camera_unauthorized")
        assert camera.connects == 1


# --- rejected passwords ---------------------------------------------------------------------------

@pytest.mark.parametrize("status", [401, 403])
def test_http_camera_rejects_the_password(gateway, flv_camera, status):
    camera = flv_camera(status=status)
    gateway.secrets.append("wrong-1")
    url = f"http://admin:wrong-1@127.0.0.1:{camera.server_port}/camera.flv"
    answer = gateway.get(url)
    assert (answer.status, answer.code) == (502, "camera_unauthorized")
    assert "refused user name or password" in answer.error["message"]
    asked = len(camera.asked)
    assert (gateway.get(url).status, gateway.get(url).code) == (502, "camera_unauthorized")
    holds_for(lambda: len(camera.asked) == asked, 1, "no further try")


@pytest.mark.parametrize("login,descriptions", [
    ("", [REJECTED]),
    ("admin:wrong-1@", [REJECTED, "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x"]),
    ("admin:wrong-1@", ["[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=nosuchuser"]),
    ("", ["NetConnection.Connect.Rejected: access denied"])])
def test_rtmp_server_rejects_the_password(gateway, login, descriptions):
    gateway.secrets.append("wrong-1")
    with RejectingRtmp(*descriptions) as camera:
        url = f"rtmp://{login}127.0.0.1:{camera.port}/live/camera"
        answer = gateway.get(url)
        assert (answer.status, answer.code) == (502, "camera_unauthorized")
        asked = camera.connects
        assert gateway.get(url).code == "camera_unauthorized"
        holds_for(lambda: camera.connects == asked, 1, "no further try")


def test_rtmp_server_rejects_for_another_reason(gateway):
    with RejectingRtmp("Failed to connect: no such application") as camera:
        answer = gateway.get(f"rtmp://127.0.0.1:{camera.port}/live/camera")
        assert (answer.status, answer.code) == (502, "camera_not_found")


# --- HEVC -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def hevc_recording():
    """FLV in the enhanced dialect as FFmpeg 7.1 of a Debian 13 tree writes it, and the media in it."""
    root = ffmpeg.trixie_root()
    if root is None:
        pytest.skip("no Debian 13 tree with FFmpeg 7.1 (CAM_TRIXIE_ROOT or build/trixie)")
    media = fake_rtsp.media("hevc")
    data = b"".join(b"\0\0\0\1" + nal for unit in media.units for nal in unit)
    done = subprocess.run(["chroot", root, "/usr/bin/ffmpeg", "-v", "error", "-r", "25", "-f", "hevc", "-i", "-", "-c",
                           "copy", "-bsf:v", "setts=ts=N/25/TB", "-flvflags", "no_duration_filesize", "-f", "flv", "-"],
                          input=data, stdout=subprocess.PIPE, check=True, timeout=60)
    return done.stdout, media


def test_hevc_over_rtmp_in_the_enhanced_dialect(gateway, hevc_recording):
    """Every picture bit for bit.  Not by way of nginx: its RTMP module drops frames of the enhanced dialect."""
    flv, media = hevc_recording
    assert b"hvc1" in flv[:2000]
    with PlayingRtmp(flv) as camera:
        with gateway.view(f"rtmp://127.0.0.1:{camera.port}/live/camera") as viewer:
            viewer.wait_frames(75)
    viewer.flv.check()
    assert viewer.flv.video_configs[0].codec == "hevc"
    got = [frame.pictures()[0] for frame in viewer.flv.video]
    assert got == media.slices()[:len(got)]
