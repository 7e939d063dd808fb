"""Other ways to an RTSP camera: over HTTP, as a GET and a POST; by multicast.  GStreamer's server, and cameras of ours
where what counts is an answer that a real server does not give."""
import base64
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading

import pytest

from conftest import QUICK
from lib import gst_server
from lib.gateway import ROOT
from lib.gst_server import GstServer, h264
from lib.http import request
from lib.listener import Listener
from lib.scripted_rtsp import Script, ScriptedCamera, assert_reads, certificate, probe, read

needs_gstreamer = pytest.mark.skipif(gst_server.missing() is not None, reason=str(gst_server.missing()))


# --- RTSP over HTTP -----------------------------------------------------------------------------------------------

class Tunnel(Listener):
    """A web server in front of a camera: what GET and POST with one cookie say becomes a connection to it.  login: what
    it wants in Authorization; status: it answers that instead, to requests of that method."""

    def __init__(self, camera, login=None, status=200, method="GET", tls=None):
        self.camera, self.login, self.status, self.method, self.tls = camera, login, status, method, tls
        self.heads, self._inside, self._ready = [], {}, threading.Condition()
        super().__init__()

    def url(self, scheme="rtsph", login=""):
        return f"{scheme}://{login}127.0.0.1:{self.port}/cam"

    def serve(self, sock):
        if self.tls is not None:
            sock = self.tls.wrap_socket(sock, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(1) or exit_thread()
        head = head.decode()
        self.heads.append(head)
        cookie = re.search(r"x-sessioncookie: (\S+)", head).group(1)
        if self.status != 200 and head.startswith(self.method):
            sock.sendall(f"HTTP/1.0 {self.status} No\r\n\r\n".encode())
        elif (refusal := self.refuses(head.split(" ")[0], head)) is not None:
            sock.sendall(refusal.encode())
        elif self.login is not None and f"Authorization: {self.login}" not in head:
            sock.sendall(b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"\r\nContent-Length: 4\r\n\r\nNo!\n')
        elif head.startswith("GET /cam HTTP/1.0\r\n"):
            self.down(sock, cookie)
        elif head.startswith("POST /cam HTTP/1.0\r\n"):
            self.up(sock, cookie)

    def refuses(self, method, head):
        """An answer, or None."""

    def down(self, sock, cookie):
        with socket.create_connection(("127.0.0.1", self.camera.port)) as inside:
            with self._ready:
                self._inside[cookie] = inside
                self._ready.notify_all()
            sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n")
            while data := inside.recv(65536):
                sock.sendall(data)

    def up(self, sock, cookie):
        with self._ready:
            assert self._ready.wait_for(lambda: cookie in self._inside, 10)
        text = b""
        while data := sock.recv(4096):
            text += data
            whole = len(text) // 4 * 4
            for part in re.findall(rb"[^=]+=*", text[:whole]):
                self._inside[cookie].sendall(base64.b64decode(part, validate=True))
            text = text[whole:]
        self._inside[cookie].shutdown(socket.SHUT_WR)


def exit_thread():
    raise OSError("the client hung up")


@needs_gstreamer
@pytest.mark.parametrize("scheme, parameters", [("rtsp", {"cam_type": "rtsp-http"}), ("rtsph", {})])
def test_tunnel_to_gstreamer(gateway, scheme, parameters):
    with GstServer(None, h264()) as server:
        with gateway.view(server.url.replace("rtsp:", scheme + ":"), **parameters) as viewer:
            viewer.wait_frames(60)
            stream = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"][0]
            assert stream["cam_type"] == "rtsp-http"
        viewer.flv.check()


def tunnelled(script, *options, tunnel=None, url=None, **arguments):
    """-> (result of the probe, camera, tunnel)"""
    with ScriptedCamera(script) as camera, Tunnel(camera, **(tunnel or {})) as front:
        return probe(front.url(**(url or {})), "--http", *options, **arguments), camera, front


def test_tunnel_loses_nothing():
    class Unhurried(Script):
        speed = 1  # long enough for a receiver report
    result, camera, front = tunnelled(Unhurried(), video=10000, seconds=7)
    result.assert_unharmed(camera)
    assert len(result.audio) > 20
    assert [head[:4] for head in front.heads] == ["GET ", "POST"]
    assert camera.methods()[0] == "DESCRIBE" and camera.methods()[-1] == "TEARDOWN"
    assert all(r.uri.startswith("rtsp://") for r in camera.requests)
    assert camera.rtcp, "no receiver report came up"


def test_tunnel_behind_tls(tmp_path):
    context, authority = certificate(tmp_path)
    result, camera, _ = tunnelled(Script(), tunnel={"tls": context}, url={"scheme": "rtsps"},
                                  env={"SSL_CERT_FILE": authority})
    result.assert_unharmed(camera)


def test_tunnel_with_a_password():
    """The web server's own; the camera behind it may have another."""
    basic = "Basic " + base64.b64encode(b"admin:secret").decode()
    result, camera, front = tunnelled(Script(), tunnel={"login": basic}, url={"login": "admin:secret@"})
    result.assert_unharmed(camera)
    assert ["Authorization" in head for head in front.heads] == [False, True, True]
    result, _, front = tunnelled(Script(), tunnel={"login": basic}, url={"login": "admin:wrong@"})
    assert result.error == "camera_unauthorized" and len(front.heads) == 2


class DigestTunnel(Tunnel):
    """Digest, with a nonce for each connection; methods: those that it protects."""

    def __init__(self, camera, methods, password="secret"):
        self.methods, self.password = methods, password
        super().__init__(camera)

    def refuses(self, method, head):
        if method not in self.methods:
            return None
        fields = dict(re.findall(r'(\w+)="([^"]*)"', head))

        def h(text):
            return hashlib.md5(text.encode()).hexdigest()
        right = h(f"{h(f'admin:cam:{self.password}')}:{method}:{h(f'{method}:/cam')}")
        if fields.get("nonce") == method and fields.get("response") == right:
            return None
        return f'HTTP/1.0 401 No\r\nWWW-Authenticate: Digest realm="cam", nonce="{method}"\r\n\r\n'


@pytest.mark.parametrize("methods", [("GET",), ("POST",), ("GET", "POST")])
def test_tunnel_with_digest(methods):
    """What was sent up behind a POST that is refused is sent again."""
    script = Script()
    with ScriptedCamera(script) as camera, DigestTunnel(camera, methods) as front:
        result = probe(front.url(login="admin:secret@"), "--http")
        result.assert_unharmed(camera)
        assert camera.methods().count("DESCRIBE") == 1
        heads = [head.split(" ")[0] for head in front.heads]
        assert heads == ["GET"] * (1 + ("GET" in methods)) + ["POST"] * (1 + ("POST" in methods))
        front.heads.clear()
        result = probe(front.url(login="admin:wrong@"), "--http")
        assert result.error == "camera_unauthorized"
        assert len(front.heads) <= 4


@pytest.mark.parametrize("status, error", [(404, "camera_not_found"), (403, "camera_unauthorized"),
                                           (500, "camera_unreachable")])
def test_tunnel_refused(status, error):
    result, _, _ = tunnelled(Script(), tunnel={"status": status})
    assert result.error == error


def test_tunnel_whose_post_is_refused():
    result, camera, _ = tunnelled(Script(), tunnel={"status": 405, "method": "POST"})
    assert result.error == "camera_unreachable" and not camera.requests


def test_tunnel_to_something_else():
    result, _ = read(Script(), "--http")  # RTSP, not HTTP
    assert result.error in ("camera_unreachable", "camera_timeout")


def test_tunnel_obeys_the_access_list(make_gateway):
    gateway = make_gateway(QUICK + "[access]\ncameras = 10.0.0.0/8\n")
    with ScriptedCamera(Script()) as camera, Tunnel(camera) as front:
        for url, parameters in ((front.url(), {}), (front.url("rtsp"), {"cam_type": "rtsp-http"}),
                                (camera.url(), {"cam_type": "rtsp-multicast"})):
            assert gateway.get(url, **parameters).status == 403
        assert front.connections == camera.connections == 0


# --- multicast ----------------------------------------------------------------------------------------------------

class Multicasting(Script):
    """Sends to a group, on loopback."""
    group = "239.255.77.1"

    def on_setup(self, session, request):
        track = self.track_of(request.uri)
        if "multicast" not in request.get("Transport"):
            return super().on_setup(session, request)
        sender, taken = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        taken.bind(("127.0.0.1", 0))  # a number that is free
        port = taken.getsockname()[1] & ~1
        session.udp[track] = (sender, taken, self.group, port)
        return 200, [self.session_line(session), "Transport: " + self.multicast_transport(port)], ""

    def multicast_transport(self, port):
        return f"RTP/AVP;multicast;destination={self.group};port={port}-{port + 1};ttl=1"


def test_multicast():
    result, camera = assert_reads(Multicasting(), "--multicast", video=100)
    assert len(result.audio) > 5
    assert camera.asked("SETUP")[0].get("Transport") == "RTP/AVP;multicast"


def test_two_gateways_listen_to_one_group(gateway, make_gateway):
    """Each worker has sockets of its own."""
    class Fixed(Multicasting):
        speed = 1
        port = None

        def on_setup(self, session, request):
            answer = super().on_setup(session, request)
            self.port = self.port or {}
            track = self.track_of(request.uri)
            self.port.setdefault(track, session.udp[track][3])
            session.udp[track] = (*session.udp[track][:3], self.port[track])
            port = self.port[track]
            return answer[0], [answer[1][0], "Transport: " + self.multicast_transport(port)], ""
    with ScriptedCamera(Fixed()) as camera:
        other = make_gateway(QUICK)
        with gateway.view(camera.url(), cam_type="rtsp-multicast") as first:
            first.wait_frames(10)
            with other.view(camera.url(), cam_type="rtsp-multicast") as second:
                second.wait_frames(10)
            first.wait_more(10)


@pytest.mark.parametrize("group", ["127.0.0.1", "10.1.2.3", "255.255.255.255", "ff02::1", "camera.lan", "239.1.1.1.1"])
def test_multicast_to_what_is_no_group(group):
    """Nobody listens there, and TCP is tried."""
    class Odd(Multicasting):
        def multicast_transport(self, port):
            return f"RTP/AVP;multicast;destination={group};port={port}-{port + 1};ttl=1"
    result, camera = read(Odd(), "--multicast", "--connect-ms", "6000", seconds=10)
    result.assert_unharmed(camera)
    assert "interleaved=" in camera.asked("SETUP")[-1].get("Transport")


def test_multicast_refused():
    class Unicast(Script):
        def on_setup(self, session, request):
            return (461, [], "") if "multicast" in request.get("Transport") else super().on_setup(session, request)
    result, camera = assert_reads(Unicast(), "--multicast")
    assert "interleaved=" in camera.asked("SETUP")[-1].get("Transport")


def test_only_the_camera_is_heard():
    """Others send to the group too."""
    class Noisy(Multicasting):
        def datagrams(self, session, track, packets):
            stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            stranger.bind(("127.0.0.2", 0))
            stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            with stranger:
                noise = struct.pack(">BBHII", 0x80, 96, 1, 1, 0x11111111) + bytes(500)
                if track in session.udp:
                    stranger.sendto(noise, session.udp[track][2:])
            return packets
    assert_reads(Noisy(), "--multicast", video=60)


@needs_gstreamer
@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own needs root")
def test_multicast_from_gstreamer():
    """Through the whole gateway, its sandbox and all."""
    done = subprocess.run(["unshare", "--net", sys.executable, "-m", "lib.multicast_network"], text=True,
                          cwd=os.path.join(ROOT, "test", "e2e"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["frames"] >= 50 and told["cam_type"] == "rtsp-multicast" and told["joined"]
    assert "trying TCP" not in told["log"]
