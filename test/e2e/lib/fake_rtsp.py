"""A small RTSP camera in Python, made to misbehave on command (RFC 2326, RFC 6184, RFC 7798, RFC 3551).

The sample cameras show that good cameras work; this one refuses, rejects, falls silent, dies and comes
back, and counts what the program asked of it.  RTP over the RTSP connection only.
"""
import base64
import contextlib
import hashlib
import os
import re
import struct
import subprocess
import threading
import time

from . import processes
from .listener import Listener
from .wait import wait_for

FPS = 25
ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def _split_annex_b(data):
    """NAL units of a byte stream (ISO/IEC 14496-10 annex B)."""
    starts = [m.end() for m in re.finditer(b"\0\0\1", data)]
    ends = [s - 3 for s in starts[1:]] + [len(data)]
    return [data[s:e].rstrip(b"\0") for s, e in zip(starts, ends)]


class Media:
    """An encoded loop: access units as lists of NAL units, the first one a key frame.

    shown    place of each access unit in display order, when that is not the order they come in
    """

    def __init__(self, codec, nals, shown=None):
        self.codec, self.shown = codec, shown
        self.units, self.parameter_sets, unit = [], [], []
        for nal in nals:
            kind = nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F
            unit.append(nal)
            if kind in ((7, 8) if codec == "h264" else (32, 33, 34)) and nal not in self.parameter_sets:
                self.parameter_sets.append(nal)
            if kind < (6 if codec == "h264" else 32):  # one slice per picture: its end
                self.units.append(unit)
                unit = []

    def slices(self):
        """The coded slice of each picture, in order."""
        return [unit[-1] for unit in self.units]


_media = {}


def media(codec="h264", size="320x180", seconds=4, bit_rate="400k", gop=25, frame_bytes=None):
    """Encode a loop once per test run.

    frame_bytes: H.264: about as much for every picture, key frames too; bit_rate goes with it.
    """
    key = (codec, size, seconds, bit_rate, gop, frame_bytes)
    if key not in _media:
        encoder = {"h264": ["-c:v", "libx264", "-bf", "0", "-x264-params", "slices=1:scenecut=0", "-f", "h264"],
                   "hevc": ["-c:v", "libx265", "-x265-params",
                            f"slices=1:bframes=0:scenecut=0:keyint={gop}:min-keyint={gop}:open-gop=0:"
                            "log-level=error", "-f", "hevc"]}[codec]
        bound = ["-maxrate", bit_rate, "-bufsize", str(8 * frame_bytes)] if frame_bytes else []
        data = subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={FPS}", "-t",
             str(seconds), "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(gop), "-b:v", bit_rate,
             *bound, *encoder, "-"], check=True, stdout=subprocess.PIPE, timeout=120).stdout
        _media[key] = Media(codec, _split_annex_b(data))
    return _media[key]


def counting_media(gop, bframes=0, frames=500, size=(640, 360)):
    """A loop of the sample cameras' pictures (lib/picture.py reads their counters), with long GOPs and B-frames.

    bframes: 0, or 2 between references; gop is one more than a multiple of 3 then.
    """
    key = (gop, bframes, frames, size)
    if key not in _media:
        subprocess.run(["make", "-s", "-C", ROOT, "BUILD=release", "sample-cameras"], check=True,
                       stdout=subprocess.DEVNULL, timeout=300)
        drawn = subprocess.Popen([os.path.join(ROOT, "build/release/test/sample-picture"), *map(str, size),
                                  str(frames), str(frames), "8"], stdout=subprocess.PIPE)
        x264 = (f"slices=1:scenecut=0:open-gop=0:keyint={gop}:min-keyint={gop}:bframes={bframes}:b-adapt=0:"
                "b-pyramid=none")
        data = subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s",
             "{}x{}".format(*size), "-r", str(FPS), "-i", "pipe:0", "-c:v", "libx264", "-preset", "ultrafast", "-b:v",
             "800k", "-x264-params", x264, "-f", "h264", "-"],
            stdin=drawn.stdout, stdout=subprocess.PIPE, check=True, timeout=120).stdout
        drawn.stdout.close()
        assert drawn.wait() == 0
        # In order of decoding: I0 P3 B1 B2 P6 B4 B5 …
        in_gop = [0] + [k + at for k in range(0, gop - 1, 3) for at in (3, 1, 2)]
        shown = [n // gop * gop + in_gop[n % gop] for n in range(frames)] if bframes else None
        _media[key] = Media("h264", _split_annex_b(data), shown)
        assert len(_media[key].units) == frames
    return _media[key]


def rtp_payloads(codec, nal, limit=1400):
    """One NAL unit as RTP payloads, fragmented when it is too long."""
    if len(nal) <= limit:
        return [nal]
    if codec == "h264":
        head, rest, parts = bytes([nal[0] & 0xE0 | 28]), nal[1:], []
        kind = bytes([nal[0] & 0x1F])
    else:
        head, rest, parts = bytes([nal[0] & 0x81 | 49 << 1, nal[1]]), nal[2:], []
        kind = bytes([nal[0] >> 1 & 0x3F])
    for at in range(0, len(rest), limit):
        flags = (0x80 if at == 0 else 0) | (0x40 if at + limit >= len(rest) else 0)
        parts.append(head + bytes([kind[0] | flags]) + rest[at:at + limit])
    return parts


# Programs outside of this repository, which play cameras of reports, know it by this name.
_rtp_payloads = rtp_payloads


def read_messages(sock):
    """What a client sends, until it closes: heads of requests as str, interleaved packets as (channel, bytes)."""
    buffer = b""
    while True:
        while buffer[:1] == b"$" and len(buffer) >= 4:
            size = 4 + struct.unpack(">H", buffer[2:4])[0]
            if len(buffer) < size:
                break
            yield buffer[1], buffer[4:size]
            buffer = buffer[size:]
        if buffer[:1] != b"$" and b"\r\n\r\n" in buffer:
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            yield head.decode("latin-1")
            continue
        chunk = sock.recv(65536)
        if not chunk:
            return
        buffer += chunk


class FakeCamera(Listener):
    """
    video      Media, or None for a camera without a video track
    audio      True: G.711 A-law, 20 ms packets of silence
    user, password, auth   "digest" or "basic"; without user everybody may look
    paths      paths it knows, or None for all
    silent     None; "accept": never answers; "play": answers, but sends no media
    stamp      stamp(track, seconds, ticks) -> the RTP timestamp to send instead of ticks; None: as it should be
    wall       wall(seconds) -> the time of day, s, that RTCP sender reports give; None: no reports
    """

    def __init__(self, video=None, audio=True, user=None, password=None, auth="digest", paths=None, silent=None,
                 port=0):
        self.video, self.audio = video, audio
        self.user, self.password, self.auth = user, password, auth
        self.paths, self.silent = paths, silent
        self.requests = []  # (method, path, headers)
        self.plays = 0  # PLAY answered with 200 so far
        self.alone, self.playing, self.refused = False, 0, 0  # alone: one session at a time, others get 453
        self.stamp = self.wall = None
        self.frames_sent = self.sounds_sent = 0
        self.late_s = 0  # by how much anything was sent too late, at worst, though the peer took it
        self.began = None  # time.monotonic() of the newest session's first picture
        self.muted = threading.Event()  # set: media stops, the connection stays
        super().__init__(port=port)

    def url(self, path="/cam", user=None, password=None):
        login = "" if user is None else f"{user}:{password}@"
        return f"rtsp://{login}127.0.0.1:{self.port}{path}"

    def assert_no_frame_lost(self, flv):
        """flv: the reader of a viewer of this camera. Each picture follows the one before."""
        flv.check()
        loop = self.video.slices()
        got = [frame.pictures()[0] for frame in flv.video]
        first = loop.index(got[0])
        assert got == [loop[(first + n) % len(loop)] for n in range(len(got))]

    @contextlib.contextmanager
    def pause(self, worker):
        """No media meanwhile, and the gateway's worker sleeps: it is not within a write to anybody."""
        sent = asleep = 0

        def sleeps():
            nonlocal sent, asleep
            quiet = sent == self.frames_sent and processes.stat(worker)[0] == "S"
            sent, asleep = self.frames_sent, asleep + 1 if quiet else 0
            return asleep == 8
        self.muted.set()
        try:
            wait_for(sleeps, 30, f"process {worker} to sleep", interval=0.05)
            yield
        finally:
            self.muted.clear()

    def logins(self):
        """Requests that carried credentials."""
        return [r for r in self.requests if "authorization" in r[2]]

    def serve(self, sock):
        session = _Session(self, sock)
        try:
            session.run()
        finally:
            session.ended.set()

    def sdp(self):
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=fake", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
        if self.video:
            sets = [base64.b64encode(nal).decode() for nal in self.video.parameter_sets]
            lines += ["m=video 0 RTP/AVP 96", "a=control:video"]
            if self.video.codec == "h264":
                profile = self.video.parameter_sets[0][1:4].hex()
                lines += ["a=rtpmap:96 H264/90000", f"a=fmtp:96 packetization-mode=1;profile-level-id={profile};"
                          f"sprop-parameter-sets={','.join(sets)}"]
            else:
                lines += ["a=rtpmap:96 H265/90000",
                          f"a=fmtp:96 sprop-vps={sets[0]};sprop-sps={sets[1]};sprop-pps={sets[2]}"]
        if self.audio:
            lines += ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000/1", "a=control:audio"]
        return "\r\n".join(lines) + "\r\n"


class _Session:
    def __init__(self, camera, sock):
        self.camera, self.sock = camera, sock
        self.ended = threading.Event()
        self.channels, self.plays = {}, 0
        self.nonce = os.urandom(8).hex()
        self.write_lock = threading.Lock()
        self.report_due = {"video": 0, "audio": 0}

    def run(self):
        try:
            for message in read_messages(self.sock):
                if isinstance(message, str) and not self.answer(message.split("\r\n")):
                    return
        finally:
            self.camera.playing -= self.plays

    def answer(self, lines):
        method, uri = lines[0].split(" ")[:2]
        headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        path = re.sub(r"^rtsps?://[^/]*", "", uri)
        camera = self.camera
        camera.requests.append((method, path, headers))
        if camera.silent == "accept":
            return True
        if method == "OPTIONS":
            self.reply(headers, 200, ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"])
            return True
        if camera.user is not None and not self.authorized(method, headers.get("authorization", "")):
            challenge = (f'Digest realm="fake", nonce="{self.nonce}"' if camera.auth == "digest"
                         else 'Basic realm="fake"')
            self.reply(headers, 401, [f"WWW-Authenticate: {challenge}"])
            return True
        if camera.paths is not None and not any(path == p or path.startswith(p + "/") for p in camera.paths):
            self.reply(headers, 404)
            return True
        if method == "DESCRIBE":
            self.reply(headers, 200, ["Content-Type: application/sdp", f"Content-Base: {uri.rstrip('/')}/"],
                       camera.sdp())
        elif method == "SETUP":
            if "TCP" not in headers.get("transport", ""):
                self.reply(headers, 461)
                return True
            channel = int(re.search(r"interleaved=(\d+)", headers["transport"]).group(1))
            self.channels[path.rstrip("/").rsplit("/", 1)[-1]] = channel
            self.reply(headers, 200, [f"Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}",
                                      "Session: 1;timeout=60"])
        elif method == "PLAY" and camera.alone and camera.playing:
            camera.refused += 1
            self.reply(headers, 453)
        elif method == "PLAY":
            camera.plays += 1
            camera.playing += 1
            self.plays += 1
            self.reply(headers, 200, ["Session: 1", "Range: npt=0.000-"])
            if camera.silent != "play":
                threading.Thread(target=self.send_media, daemon=True).start()
        elif method == "TEARDOWN":
            self.reply(headers, 200, ["Session: 1"])
            return False
        else:
            self.reply(headers, 200, ["Session: 1"])
        return True

    def authorized(self, method, value):
        camera = self.camera
        if camera.auth == "basic":
            return value == "Basic " + base64.b64encode(f"{camera.user}:{camera.password}".encode()).decode()
        fields = dict(re.findall(r'(\w+)="?([^",]*)"?', value))
        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()
        first = md5(f"{camera.user}:fake:{camera.password}")
        second = md5(f"{method}:{fields.get('uri', '')}")
        return fields.get("username") == camera.user and fields.get("response") == md5(
            f"{first}:{self.nonce}:{second}")

    def reply(self, headers, status, extra=(), body=""):
        reason = {200: "OK", 401: "Unauthorized", 404: "Not Found", 453: "Not Enough Bandwidth", 461: "Unsupported Transport"}[status]
        lines = [f"RTSP/1.0 {status} {reason}", f"CSeq: {headers.get('cseq', '0')}", *extra]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with self.write_lock:
            self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def send_media(self):
        try:
            self._send_media()
        except OSError:
            pass

    def _send_media(self):
        camera = self.camera
        start, sequence = time.monotonic(), {"video": 0, "audio": 0}
        camera.began = sent_at = start
        queue = self._packets()
        while not self.ended.is_set():
            due, track, packets = next(queue)
            delay = start + due - time.monotonic()
            if delay > 0 and self.ended.wait(delay):
                return
            camera.late_s = max(camera.late_s, time.monotonic() - max(start + due, sent_at))
            if track not in self.channels or camera.muted.is_set() or not packets:
                continue
            out = self._sender_report(track, due, packets[0][1])
            for kind, timestamp, marker, payload in packets:
                if camera.stamp is not None:
                    timestamp = camera.stamp(track, due, timestamp)
                rtp = struct.pack(">BBHII", 0x80, kind | (0x80 if marker else 0), sequence[track] & 0xFFFF,
                                  timestamp & 0xFFFFFFFF, 1 if track == "video" else 2) + payload
                sequence[track] += 1
                out += struct.pack(">BBH", 0x24, self.channels[track], len(rtp)) + rtp
            with self.write_lock:
                self.sock.sendall(out)
            sent_at = time.monotonic()
            if track == "video":
                camera.frames_sent += 1
            else:
                camera.sounds_sent += 1

    def _sender_report(self, track, due, timestamp):
        """RFC 3550 section 6.4.1, with the first packet and then once a second."""
        camera = self.camera
        if camera.wall is None or due < self.report_due[track]:
            return b""
        self.report_due[track] = due + 1
        if camera.stamp is not None:
            timestamp = camera.stamp(track, due, timestamp)
        ntp = int((camera.wall(due) + 2208988800) * 2 ** 32)
        report = struct.pack(">BBHIQIII", 0x80, 200, 6, 1 if track == "video" else 2, ntp, timestamp & 0xFFFFFFFF, 0, 0)
        return struct.pack(">BBH", 0x24, self.channels[track] + 1, len(report)) + report

    def _packets(self):
        """(seconds, track, [(payload type, timestamp, marker, payload)]) in order of time, endlessly."""
        camera = self.camera
        frame = sound = 0
        while True:
            video_due = frame / FPS if camera.video else float("inf")
            audio_due = sound * 0.02 if camera.audio else float("inf")
            if video_due == audio_due == float("inf"):
                self.ended.wait()
                continue
            if video_due <= audio_due:
                nals = camera.video.units[frame % len(camera.video.units)]
                payloads = [p for nal in nals for p in rtp_payloads(camera.video.codec, nal)]
                yield video_due, "video", [(96, self._shown(frame) * 90000 // FPS, i == len(payloads) - 1, p)
                                           for i, p in enumerate(payloads)]
                frame += 1
            else:
                yield audio_due, "audio", [(8, sound * 160, False, b"\xd5" * 160)]
                sound += 1

    def _shown(self, frame):
        """The place of a picture in display order."""
        video = self.camera.video
        if video.shown is None:
            return frame
        loops, at = divmod(frame, len(video.units))
        return loops * len(video.units) + video.shown[at]
