"""RTMP and HTTP cameras through the gateway: certificates, rejected passwords, HEVC as FFmpeg writes it, a stream that
comes to the end of FLV's time, cameras that nobody watches."""
import http.server
import itertools
import os
import subprocess
import sys
import threading
import time

import pytest

from conftest import QUICK
from lib import fake_rtsp, ffmpeg, processes
from lib.fake_rtmp import MEDIA_STREAM, PlayingRtmp, RejectingRtmp, flv_tags, message
from lib.gateway import ROOT
from lib.scripted_rtsp import certificate
from lib.sliced import flv_file, sliced_media
from lib.snapshot import counter_of, snapshot
from lib.wait import holds_for, wait_for

sys.path.insert(0, os.path.join(ROOT, "test", "cameras"))
import loops  # noqa: E402

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


# --- nobody watches -------------------------------------------------------------------------------

class CountingRtmp(PlayingRtmp):
    """sent: the number of the newest picture."""

    sent = -1

    def play(self, peer):
        for kind, timestamp, body in flv_tags(self.flv):
            self.wait_until(timestamp)
            peer.sendall(message(kind, body, timestamp, MEDIA_STREAM, 1))
            self.sent += kind == 9 and body[1] == 1


def test_what_nobody_watches_is_read_seldom(make_gateway):
    """Its worker sleeps, instead of waking up for each picture.  Whoever asks gets the newest one even so."""
    with CountingRtmp(flv_file(sliced_media(slices=1), rounds=6)) as camera:
        url = f"rtmp://127.0.0.1:{camera.port}/live/camera"
        gateway = make_gateway(f'[camera "one"]\nurl = {url}\nalways_on = yes\n')
        assert snapshot(gateway, url).status == 200
        worker, = gateway.worker_of(camera.port)

        def sleeps():
            before, sent = processes.wake_ups(worker), camera.sent
            time.sleep(1)
            return processes.wake_ups(worker) - before < (camera.sent - sent) * 0.8
        for _ in range(2):
            wait_for(sleeps, 15, "fewer wake-ups than pictures")
            sent = camera.sent
            answer = snapshot(gateway, url)
            assert answer.status == 200, answer.body
            behind = (sent - counter_of(answer)) % 100
            assert behind <= 1 or behind > 50, (sent, counter_of(answer))


# --- 2^31 ms --------------------------------------------------------------------------------------

# What counts as a jump depends on the frame rate: of a picture every ten seconds this is still none.
TIMELAPSE_STEP_MS = 14000


class TimelapseCamera:
    """FLV over HTTP: a GOP of 25 pictures at once, and another whenever release() is called."""

    def __init__(self, flv):
        self.config, *self.pictures = [body for kind, _, body in flv_tags(flv) if kind == 9]
        self.pictures = self.pictures[:25]
        self.released = None  # of the newest connection
        self.closing = False
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "video/x-flv")
                self.end_headers()
                self.wfile.write(flv[:13] + loops.flv_tag(9, 0, camera.config))
                released = camera.released = threading.Semaphore(0)
                for at in itertools.count(0, len(camera.pictures)):
                    self.wfile.write(b"".join(loops.flv_tag(9, (at + n) * TIMELAPSE_STEP_MS, body)
                                              for n, body in enumerate(camera.pictures)))
                    released.acquire()
                    if camera.closing:
                        return

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that hang up
        self.url = f"http://127.0.0.1:{self.server.server_port}/camera.flv"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def release(self):
        self.released.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing = True
        self.release()
        self.server.shutdown()
        self.server.server_close()


# --- RTMP paths -----------------------------------------------------------------------------------

@pytest.mark.parametrize("path, asked", [
    ("live/cam", ("live", "cam")),
    ("live/cam?token=abcd", ("live", "cam?token=abcd")),
    ("live/cam?token=ab/cd=", ("live", "cam?token=ab/cd=")),
    ("live/site/cam?token=ab/cd/ef==", ("live/site", "cam?token=ab/cd/ef==")),
    ("live/cam?sign=" + "a/" * 120, ("live", "cam?sign=" + "a/" * 120)),
])
def test_rtmp_application_and_stream(gateway, recording, path, asked):
    """A slash in the query belongs to the stream: tokens are base64."""
    with PlayingRtmp(recording) as server:
        with gateway.view(f"rtmp://127.0.0.1:{server.port}/{path}") as viewer:
            viewer.wait_frames(5)
        assert server.asked == [asked]


@pytest.fixture(scope="module")
def timelapse():
    """FLV that says it has a picture every ten seconds."""
    return subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "color=size=32x32:rate=1/10",
                           "-frames:v", "25", "-c:v", "libx264", "-bf", "0", "-g", "25", "-flvflags",
                           "no_duration_filesize", "-f", "flv", "-"],
                          stdout=subprocess.PIPE, check=True, timeout=60).stdout


def test_a_camera_in_a_hurry_does_not_take_its_viewers_along(make_gateway, timelapse):
    """Stamps of hours in a second are history: the viewer's time is real time.  (The end of FLV's time, 24 days later, is
    test_flv_output's.)"""
    gateway = make_gateway(QUICK + "[viewer]\nqueue_max_ms = 600000\n")
    with TimelapseCamera(timelapse) as camera:
        started = time.monotonic()
        with gateway.view(camera.url, join="gop") as viewer:
            for released in range(1, 21):
                viewer.wait_frames(released * len(camera.pictures))
                camera.release()
            viewer.close()
            seconds = time.monotonic() - started
            stamps = [frame.dts for frame in viewer.flv.video]
        assert all(a < b for a, b in zip(stamps, stamps[1:]))
        assert stamps[-1] < 1000 * seconds + 5000, (stamps[-1], seconds)
