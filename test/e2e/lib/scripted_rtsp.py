"""An RTSP camera that follows a script: it does everything right, except for what a test changes.

fake_rtsp plays whole cameras for the gateway's tests; this one is for the RTSP source alone (build/*/test/rtsp_probe,
which prints what the source delivers) and lets a test change every answer, every packet and every byte.
"""
import hashlib
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib

from .fake_rtsp import FPS, media, read_messages, rtp_payloads
from .gateway import ROOT
from .listener import Listener

VIDEO_SSRC, AUDIO_SSRC = 0x11111111, 0x22222222
REASONS = {200: "OK", 302: "Moved Temporarily", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 457: "Invalid Range", 461: "Unsupported Transport", 501: "Not Implemented"}


class Request:
    def __init__(self, text):
        first, *lines = text.split("\r\n")
        self.method, self.uri, _ = first.split(" ")
        self.text = text
        self.headers = {n.strip(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        self.time = time.monotonic()

    def get(self, name):
        return self.headers.get(name, "")

    def __repr__(self):
        return f"{self.method} {self.uri}"


class Script:
    """What a camera does.  A test overrides what it is about."""

    user = password = None
    schemes = ("MD5",)  # of the challenges, in this order; "Basic" too
    broken_schemes = ()  # offered, but every answer is refused
    audio = True
    udp = True  # UDP is offered, TCP always is unless tcp is False
    tcp = True
    timeout_s = 60
    mtu = 1400
    speed = 4  # faster than the timestamps say: what is tested is over sooner

    def __init__(self, video=None):
        self.video = video or media()

    # --- the dialogue ---

    def sdp(self, camera):
        return "\r\n".join([
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=scripted", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
            *self.video_sdp(), *self.audio_sdp()]) + "\r\n"

    def video_sdp(self):
        name = "H264" if self.video.codec == "h264" else "H265"
        return ["m=video 0 RTP/AVP 96", f"a=rtpmap:96 {name}/90000", "a=control:trackID=1"]

    def audio_sdp(self):
        return ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000", "a=control:trackID=2"] if self.audio else []

    def answer(self, session, request):
        """-> (status, header lines, body) or None for no answer at all.  Called for every request."""
        handler = getattr(self, "on_" + request.method.lower(), None)
        if handler is None:
            return 501, [], ""
        return handler(session, request)

    def on_options(self, session, request):
        return 200, ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"], ""

    def on_describe(self, session, request):
        return 200, ["Content-Type: application/sdp", *self.content_base(request)], self.sdp(session.camera)

    def content_base(self, request):
        return [f"Content-Base: {request.uri}/"]

    def track_of(self, uri):
        """Strict: only the one right URL."""
        found = re.fullmatch(r"rtsps?://[^/]+/cam/trackID=([12])", uri)
        return {"1": "video", "2": "audio"}[found.group(1)] if found else None

    def on_setup(self, session, request):
        track = self.track_of(request.uri)
        if track is None:
            return 404, [], ""
        wanted = request.get("Transport")
        if "interleaved=" in wanted and self.tcp:
            session.channels[track] = int(re.search(r"interleaved=(\d+)", wanted).group(1))
            return 200, [self.session_line(session), "Transport: " + self.tcp_transport(session, track)], ""
        if "client_port=" in wanted and self.udp:
            return 200, [self.session_line(session), "Transport: " + session.open_udp(track, wanted)], ""
        return 461, [], ""

    def tcp_transport(self, session, track):
        channel = session.channels[track]
        return f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1};ssrc=0"

    def session_line(self, session):
        return f"Session: {session.id};timeout={self.timeout_s}"

    def on_play(self, session, request):
        session.start_media()
        return 200, [self.session_line(session), *self.rtp_info(session)], ""

    def rtp_info(self, session):
        return ["RTP-Info: url=rtsp://x/cam/trackID=1;seq=0;rtptime=0,url=rtsp://x/cam/trackID=2;seq=0;rtptime=0"]

    def on_teardown(self, session, request):
        session.ended.set()
        return 200, [], ""

    def reply(self, request, status, lines, body):
        """The bytes of an answer."""
        head = [f"RTSP/1.0 {status} {REASONS.get(status, 'X')}", f"CSeq: {request.get('CSeq')}", *lines]
        if body:
            head.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(head) + "\r\n\r\n" + body).encode()

    # --- media ---

    def frames(self):
        """Indices into the video's units, endlessly."""
        n = 0
        while True:
            yield n % len(self.video.units)
            n += 1

    def nals(self, index):
        """What is to arrive: the NAL units of a frame."""
        return self.video.units[index]

    def payloads(self, nals):
        return [p for nal in nals for p in rtp_payloads(self.video.codec, nal, self.mtu)]

    def marker(self, place, count):
        return place == count - 1

    def timestamp(self, frame):
        return frame * 90000 // FPS

    def video_type(self):
        return 96

    def datagrams(self, session, track, packets):
        """Packets of one frame -> bytes to send, RTP header and all.  For loss, reordering, size."""
        return packets

    def wrap(self, session, track, packet):
        """One packet on the RTSP connection."""
        return struct.pack(">BBH", 0x24, session.channels[track], len(packet)) + packet

    def start_bytes(self, session):
        """RTCP and the like before the first packet, on the RTSP connection."""
        return b""


class Locked(Script):
    """Wants a password; login is how it stands in a URL."""

    user, password = "admin", "s:e@c/r?e#t%"
    login = "admin:s%3Ae%40c%2Fr%3Fe%23t%25@"


class ScriptedCamera(Listener):
    def __init__(self, script, tls=None):
        self.script, self.tls = script, tls
        self.requests, self.rtcp = [], []
        self.sent = []  # CRC-32 of each video NAL unit sent, start code included
        self.sessions = []
        super().__init__()

    def url(self, path="/cam", login=""):
        return f"rtsp{'s' if self.tls else ''}://{login}127.0.0.1:{self.port}{path}"

    def asked(self, method):
        return [r for r in self.requests if r.method == method]

    def methods(self):
        return [r.method for r in self.requests]

    def drop_sessions(self):
        """Cut every connection, those over TLS too."""
        for session in self.sessions:
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(self, sock):
        session = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            session = Session(self, sock)
            self.sessions.append(session)
            session.run()
        except (OSError, ValueError):
            pass
        finally:
            if session is not None:
                session.close()
            sock.close()


class Session:
    def __init__(self, camera, sock):
        self.camera, self.script, self.sock = camera, camera.script, sock
        self.id = os.urandom(4).hex()
        self.nonce = os.urandom(8).hex()
        self.ended = threading.Event()
        self.channels = {}
        self.udp = {}  # track -> (RTP socket, RTCP socket, client address, client port)
        self.lock = threading.Lock()
        self.media_thread = None
        self.sequence = {"video": 65530, "audio": 0}

    def close(self):
        self.ended.set()
        for rtp, rtcp, _, _ in self.udp.values():
            rtp.close()
            rtcp.close()

    def run(self):
        for message in read_messages(self.sock):
            if isinstance(message, str):
                self.serve(Request(message))
            else:
                self.camera.rtcp.append(message)

    def serve(self, request):
        self.camera.requests.append(request)
        script = self.script
        if script.user is not None and not self.authorized(request):
            lines = []
            for scheme in script.schemes:
                if scheme == "Basic":
                    lines.append('WWW-Authenticate: Basic realm="cam"')
                else:
                    lines.append(f'WWW-Authenticate: Digest realm="cam", nonce="{self.nonce}", algorithm={scheme}'
                                 + (', qop="auth"' if scheme == "SHA-256" else ""))
            answer = 401, lines, ""
        else:
            answer = script.answer(self, request)
        if answer is not None:
            self.send(script.reply(request, *answer))

    def authorized(self, request):
        value = request.get("Authorization")
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', value))
        if not value.startswith("Digest") or fields.get("nonce") != self.nonce:
            return False
        algorithm = fields.get("algorithm", "MD5")
        if algorithm not in self.script.schemes or algorithm in self.script.broken_schemes:
            return False

        def h(text):
            return (hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5)(text.encode()).hexdigest()
        first = h(f"{self.script.user}:cam:{self.script.password}")
        second = h(f"{request.method}:{request.uri}")
        middle = self.nonce
        if "qop" in fields:
            middle += f":{fields['nc']}:{fields['cnonce']}:auth"
        return fields.get("username") == self.script.user and fields.get("response") == h(
            f"{first}:{middle}:{second}") and fields.get("uri") == request.uri

    def send(self, data):
        with self.lock:
            self.sock.sendall(data)

    # --- UDP ---

    def open_udp(self, track, wanted):
        first, second = (int(p) for p in re.search(r"client_port=(\d+)-(\d+)", wanted).groups())
        assert first % 2 == 0 and second == first + 1
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for sock in (rtp, rtcp):
            sock.bind(("127.0.0.1", 0))
        self.udp[track] = (rtp, rtcp, "127.0.0.1", first)
        threading.Thread(target=self._read_udp, args=(rtp, rtcp), daemon=True).start()
        return (f"RTP/AVP;unicast;client_port={first}-{second};"
                f"server_port={rtp.getsockname()[1]}-{rtcp.getsockname()[1]}")

    def _read_udp(self, rtp, rtcp):
        rtcp.settimeout(0.1)
        while not self.ended.is_set():
            try:
                self.camera.rtcp.append((1, rtcp.recv(2048)))
            except TimeoutError:
                pass
            except OSError:
                return

    # --- media ---

    def start_media(self):
        self.media_thread = threading.Thread(target=self._media, daemon=True)
        self.media_thread.start()

    def _media(self):
        try:
            if not self.udp:
                start = self.script.start_bytes(self)
                if start:
                    self.send(start)
            self._send_media()
        except OSError:
            pass

    def _send_media(self):
        script, start = self.script, time.monotonic()
        for number, index in enumerate(script.frames()):
            delay = start + number / FPS / script.speed - time.monotonic()
            if (delay > 0 and self.ended.wait(delay)) or self.ended.is_set():
                return
            if index is None:
                return
            nals = script.nals(index)
            payloads = script.payloads(nals)
            packets = [self.packet("video", script.video_type(), script.timestamp(number),
                                   script.marker(i, len(payloads)), p) for i, p in enumerate(payloads)]
            self.camera.sent += [zlib.crc32(b"\0\0\0\1" + nal) for nal in nals]
            self.deliver("video", packets)
            self.deliver("audio", [self.packet("audio", 8, number * 320 + i * 160, False, b"\xd5" * 160)
                                   for i in range(2)])

    def packet(self, track, kind, timestamp, marker, payload):
        sequence = self.sequence[track]
        self.sequence[track] = sequence + 1 & 0xFFFF
        return struct.pack(">BBHII", 0x80, kind | (0x80 if marker else 0), sequence, timestamp & 0xFFFFFFFF,
                           VIDEO_SSRC if track == "video" else AUDIO_SSRC) + payload

    def deliver(self, track, packets):
        packets = self.script.datagrams(self, track, packets)
        if track in self.udp:
            rtp, _, host, port = self.udp[track]
            for packet in packets:
                rtp.sendto(packet, (host, port))
        elif track in self.channels:
            self.send(b"".join(self.script.wrap(self, track, p) for p in packets))


class Result:
    """What the probe printed."""

    def __init__(self, text, errors, status):
        self.text, self.errors, self.status = text, errors, status
        self.tracks, self.end, self.video, self.audio, self.closed = None, None, [], [], False
        self.closing_cpu_us = None
        for line in text.splitlines():
            word, *fields = line.split(" ")
            if word == "tracks":
                self.tracks = fields
            elif word in ("video", "audio"):
                getattr(self, word).append((int(fields[0]), int(fields[1]), int(fields[2], 16), fields[3] == "last",
                                            fields[4] == "lost"))
            elif word == "end":
                self.end = (fields[0], " ".join(fields[1:]))
            elif word == "closed":
                self.closed, self.closing_cpu_us = True, int(fields[0])

    @property
    def error(self):
        return self.end[0] if self.end else None

    def checksums(self):
        return [v[2] for v in self.video]

    def lost(self):
        return sum(v[4] for v in self.video)

    def assert_unharmed(self, camera, at_least=10):
        """Every NAL unit as it was sent, none missing from the first on."""
        assert self.end is None, self.end
        got = self.checksums()
        assert len(got) >= at_least, (len(got), self.text[-500:], camera.requests)
        places = [i for i, c in enumerate(camera.sent) if c == got[0]]
        assert any(camera.sent[i:i + len(got)] == got for i in places), "NAL units missing or changed"
        assert self.lost() == 0


def probe(url, *options, video=20, seconds=8, cwd=None, env=None):
    """Run rtsp_probe until so many video packets came, or so many seconds passed.  env: None unsets."""
    binary = os.path.join(ROOT, "build", os.environ.get("CAM_HTTPFLV_BUILD", "release"), "test", "rtsp_probe")
    done = subprocess.run([binary, *options, "--seconds", str(seconds), "--video", str(video), url], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds + 20, cwd=cwd,
                          env={k: v for k, v in {**os.environ, **(env or {})}.items() if v is not None})
    result = Result(done.stdout, done.stderr, done.returncode)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert "loop closed" in done.stderr and result.closed, done.stderr
    assert "secret" not in done.stdout + done.stderr
    return result


def read(script, *options, login="", path="/cam", tls=None, **limits):
    """-> (result, camera) of one run of the probe."""
    with ScriptedCamera(script, tls) as camera:
        return probe(camera.url(path, login), *options, **limits), camera


def assert_reads(script, *options, **arguments):
    """The same, and everything arrived."""
    result, camera = read(script, *options, **arguments)
    result.assert_unharmed(camera)
    return result, camera


def certificate(folder, name="127.0.0.1"):
    """-> (ssl server context, CA file): a self-signed certificate for an address."""
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "2", "-subj", "/CN=camera", "-addext", f"subjectAltName=IP:{name}"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
