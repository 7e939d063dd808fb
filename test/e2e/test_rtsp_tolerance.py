"""Cameras that break the rules: the RTSP source reads them all.

Each test is one thing that real cameras do, from the field notes on libavformat, go2rtc, gortsplib, retina and
ZLMediaKit.  What arrives is compared NAL unit by NAL unit with what the scripted camera sent.
"""
import random
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import pytest

from lib.fake_rtsp import FPS, media
from lib.scripted_rtsp import VIDEO_SSRC, ScriptedCamera, Script, certificate, probe


def read(script, *options, login="", path="/cam", tls=None, **limits):
    """-> (result, camera) of one run."""
    with ScriptedCamera(script, tls) as camera:
        return probe(camera.url(path, login), *options, **limits), camera


def assert_reads(script, *options, **arguments):
    result, camera = read(script, *options, **arguments)
    result.assert_unharmed(camera)
    return result, camera


def test_a_camera_that_does_everything_right():
    result, camera = assert_reads(Script())
    assert camera.methods() == ["DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
    assert result.tracks[:1] + result.tracks[2:] == ["h264", "pcm_alaw", "8000"]
    assert len(result.audio) > 5
    frames = [v[0] for v in result.video if v[3]]
    assert [b - a for a, b in zip(frames, frames[1:])] == [40000] * (len(frames) - 1)


def test_hevc():
    result, _ = assert_reads(Script(media("hevc")))
    assert result.tracks[0] == "hevc"


def test_udp():
    result, camera = assert_reads(Script(), "--udp")
    assert "client_port=" in camera.asked("SETUP")[0].get("Transport")
    assert len(result.audio) > 5


# --- what libavformat 5.1 fails or hangs on --------------------------------------------------------------------------

class Locked(Script):
    user, password = "admin", "s:e@c/r?e#t%"
    login = "admin:s%3Ae%40c%2Fr%3Fe%23t%25@"


@pytest.mark.parametrize("schemes", [("MD5",), ("SHA-256",), ("MD5", "SHA-256"), ("SHA-256", "MD5"),
                                     ("Basic", "MD5", "SHA-256")], ids="+".join)
def test_digest(schemes):
    script = Locked()
    script.schemes = schemes
    _, camera = assert_reads(script, login=Locked.login)
    used = "SHA-256" if "SHA-256" in schemes else "MD5"
    assert ("algorithm=SHA-256" in camera.asked("PLAY")[0].get("Authorization")) == (used == "SHA-256")
    assert camera.methods()[:3] == ["DESCRIBE", "DESCRIBE", "SETUP"]


def test_md5_where_sha256_is_offered_and_broken():
    script = Locked()
    script.schemes = ("SHA-256", "MD5")
    script.broken_schemes = ("SHA-256",)
    _, camera = assert_reads(script, login=Locked.login)
    assert len(camera.asked("DESCRIBE")) == 3


def test_a_wrong_password_is_sent_once():
    result, camera = read(Locked(), login="admin:secret@")
    assert result.error == "camera_unauthorized"
    assert len([r for r in camera.requests if r.get("Authorization")]) == 1


def test_user_name_without_password():
    script = Locked()
    script.password = ""
    assert_reads(script, login="admin@")


def test_a_new_nonce_for_every_request():
    class Fresh(Locked):
        def answer(self, session, request):
            session.nonce = f"{session.nonce[:8]}{len(session.camera.requests):08x}"
            return super().answer(session, request)
    _, camera = assert_reads(Fresh(), login=Locked.login)
    assert len(camera.asked("PLAY")) == 2


def test_stale_nonce():
    class Stale(Locked):
        def reply(self, request, status, lines, body):
            if status == 401 and request.get("Authorization"):
                lines = [line + ", stale=true" for line in lines]
            return super().reply(request, status, lines, body)

        def on_describe(self, session, request):
            session.nonce = "changed"
            return super().on_describe(session, request)
    assert_reads(Stale(), login=Locked.login)


def test_setup_of_audio_rejected():
    class NoAudio(Script):
        def on_setup(self, session, request):
            return (404, [], "") if self.track_of(request.uri) == "audio" else super().on_setup(session, request)
    result, _ = assert_reads(NoAudio())
    assert result.tracks[2] == "none"


def test_metadata_and_back_channel_are_not_set_up():
    class Onvif(Script):
        def audio_sdp(self):
            return ["m=audio 0 RTP/AVP 0", "a=control:trackID=8", "a=sendonly", "m=audio 0 RTP/AVP 8",
                    "a=rtpmap:8 PCMA/8000", "a=control:trackID=2", "a=recvonly", "m=application 0 RTP/AVP 107",
                    "a=rtpmap:107 vnd.onvif.metadata/90000", "a=control:trackID=9"]
    result, camera = assert_reads(Onvif())
    assert [r.uri[-1] for r in camera.asked("SETUP")] == ["1", "2"]
    assert result.tracks[2] == "pcm_alaw"


def test_rtp_avp_in_a_tcp_reply():
    class Escam(Script):
        def tcp_transport(self, session, track):
            channel = session.channels[track]
            return ("RTP/AVP;unicast;destination=192.168.1.111;source=192.168.1.222;"
                    f"interleaved={channel}-{channel + 1}")
    assert_reads(Escam())


def test_control_that_begins_with_a_slash():
    class Slash(Script):
        def video_sdp(self):
            return [line.replace("control:", "control:/") for line in super().video_sdp()]
    assert_reads(Slash())


def test_control_by_rfc3986():
    class Root(Script):
        def video_sdp(self):
            return [line.replace("control:", "control:/") for line in super().video_sdp()]

        def track_of(self, uri):
            return "video" if re.fullmatch(r"rtsp://[^/]+/trackID=1", uri) else None
    assert_reads(Root())


def test_absolute_control():
    class Absolute(Script):
        def sdp(self, camera):
            return super().sdp(camera).replace("control:trackID", f"control:{camera.url()}/trackID")
    assert_reads(Absolute())


def test_options_not_implemented():
    class NoOptions(Script):
        timeout_s, speed = 2, 1  # a keep-alive within the test

        def on_options(self, session, request):
            return 501, [], ""
    assert_reads(NoOptions(), video=90)


def test_play_never_answered():
    class NoAnswer(Script):
        def on_play(self, session, request):
            session.start_media()
    assert_reads(NoAnswer())


def test_data_on_another_channel():
    class Other(Script):
        def wrap(self, session, track, packet):
            return struct.pack(">BBH", 0x24, session.channels[track] + 10, len(packet)) + packet
    result, _ = assert_reads(Other())
    assert len(result.audio) > 5


def test_swapped_channels():
    class Swapped(Script):
        def wrap(self, session, track, packet):
            return struct.pack(">BBH", 0x24, 2 - session.channels[track], len(packet)) + packet
    result, _ = assert_reads(Swapped())
    assert len(result.audio) > 5


@pytest.mark.parametrize("junk", [b"\0", b"garbage", b"$", b"$$$$", b"\0\0\0\1\x67abc" * 9, b"RTSP", b"\r\n\r\n"],
                         ids=lambda junk: junk[:7].hex())
def test_garbage_between_packets(junk):
    class Garbage(Script):
        def wrap(self, session, track, packet):
            return junk + super().wrap(session, track, packet)
    result, camera = read(Garbage(), video=60)
    if junk == b"$":
        # By chance one more dollar sign makes a frame of what follows; then the next packets are found again.
        assert len([c for c in result.checksums() if c in camera.sent]) >= 50
    else:
        result.assert_unharmed(camera)


def test_media_stops():
    class Stops(Script):
        def frames(self):
            yield from range(10)
            yield None
    began = time.monotonic()
    result, camera = read(Stops(), "--stall-ms", "1000", video=1000)
    assert result.error == "camera_timeout"
    assert time.monotonic() - began < 5
    assert camera.methods()[-1] == "TEARDOWN"


def test_rtcp_alone_is_no_sign_of_life():
    class Reports(Script):
        def frames(self):
            yield from range(10)
            yield None

        def on_play(self, session, request):
            def reports():
                while not session.ended.wait(0.2):
                    report = struct.pack(">BBHIQIII", 0x80, 200, 6, VIDEO_SSRC, 1 << 32, 0, 0, 0)
                    session.send(struct.pack(">BBH", 0x24, 1, len(report)) + report)
            threading.Thread(target=reports, daemon=True).start()
            return super().on_play(session, request)
    result, _ = read(Reports(), "--stall-ms", "1000", video=1000)
    assert result.error == "camera_timeout"


def test_udp_that_stays_silent():
    class Silent(Script):
        def datagrams(self, session, track, packets):
            return [] if session.udp else packets
    result, camera = read(Silent(), "--udp")
    result.assert_unharmed(camera)
    assert "interleaved=" in camera.asked("SETUP")[-1].get("Transport")
    # Hikvision: a transport switch needs a DESCRIBE of its own.
    assert len(camera.asked("DESCRIBE")) == 2
    assert len(camera.asked("TEARDOWN")) == 2


# --- what libavformat puts up with, and we must too ------------------------------------------------------------------

@pytest.mark.parametrize("change", [
    ("o=- 1 1 IN IP4 127.0.0.1\r\n", ""), ("c=IN IP4 0.0.0.0", "c=IN IP4"), ("c=IN IP4 0.0.0.0", "c=IN c=IN IP4 x y"),
    ("s=scripted\r\n", "s=\r\ns=\r\n"), ("\r\n", "\n"), ("t=0 0\r\n", ""), ("a=control:*\r\n", ""),
    ("v=0\r\n", "\r\n\r\nv=0\r\n"), ("a=rtpmap:96 H264/90000", "a=rtpmap:96 h264/90000/1 "),
    ("RTP/AVP 96", "RTP/AVPF 96"), ("RTP/AVP 96", "RTP/AVP  96 97"), ("a=rtpmap:96", "a=rtpmap: 96"),
], ids=lambda change: f"{change[0][:12]}-{change[1][:12]}".encode("unicode_escape").decode())
def test_broken_descriptions(change):
    class Broken(Script):
        def sdp(self, camera):
            assert change[0] in super().sdp(camera)
            return super().sdp(camera).replace(*change)
    assert_reads(Broken())


@pytest.mark.parametrize("base", ["rtsp://{h}/cam/", "rtsp://rtsp://{h}/cam/", "rtsp://{h}/camrtsp://{h}/cam/",
                                  "{h}/cam/", "/cam/", "rtsp://192.0.2.7/cam/", "rtsp://::ffff:127.0.0.1/cam/", "",
                                  "rtsp://{h}/cam"])
def test_odd_content_base(base):
    class Base(Script):
        def content_base(self, request):
            return ["Content-Base: " + base.format(h=request.uri.split("/")[2])]
    assert_reads(Base())


def test_without_content_base():
    class Without(Script):
        def content_base(self, request):
            return []
    assert_reads(Without())


def test_query_in_the_url():
    class Query(Script):
        def track_of(self, uri):
            found = re.fullmatch(r"rtsp://[^/]+/cam\?channel=1&subtype=0/trackID=([12])", uri)
            return {"1": "video", "2": "audio"}[found.group(1)] if found else None
    assert_reads(Query(), path="/cam?channel=1&subtype=0")


def test_no_content_type_no_cseq():
    class Bare(Script):
        def reply(self, request, status, lines, body):
            data = super().reply(request, status, [line for line in lines if "Type" not in line], body)
            return re.sub(rb"CSeq: \d+\r\n", b"", data)
    assert_reads(Bare())


def test_header_names_in_another_case_and_bare_line_feeds():
    class Case(Script):
        def reply(self, request, status, lines, body):
            head, _, rest = super().reply(request, status, lines, body).partition(b"\r\n\r\n")
            head = re.sub(rb"(?m)^[\w-]+:", lambda m: m.group(0).upper(), head)
            return head.replace(b"\r\n", b"\n") + b"\n\n" + rest
    assert_reads(Case())


def test_channel_offset():
    class Offset(Script):
        def on_setup(self, session, request):
            status, lines, body = super().on_setup(session, request)
            for track in session.channels:
                session.channels[track] = {"video": 10, "audio": 12}[track]
            return status, [re.sub(r"interleaved=(\d+)-(\d+)",
                                   lambda m: f"interleaved={int(m[1]) + 10}-{int(m[2]) + 10}", line)
                            for line in lines], body
    assert_reads(Offset())


def test_session_id_changes():
    class Changes(Script):
        def answer(self, session, request):
            if request.method in ("SETUP", "PLAY"):
                if session.channels:
                    assert request.get("Session") == session.id
                session.id = f"id{len(session.camera.requests)}"
            return super().answer(session, request)
    _, camera = assert_reads(Changes())
    assert camera.asked("TEARDOWN")[0].get("Session") == camera.sessions[0].id


def test_media_before_the_answer_to_play():
    class Early(Script):
        def on_play(self, session, request):
            session.start_media()
            time.sleep(0.3)
            return 200, [self.session_line(session)], ""
    assert_reads(Early())


def test_parameter_sets_in_band_only():
    result, _ = assert_reads(Script())
    assert result.tracks[1] == "0"


def test_parameter_sets_in_the_description():
    import base64

    class Sprop(Script):
        def video_sdp(self):
            sets = ",".join(base64.b64encode(nal).decode() for nal in self.video.parameter_sets)
            return [*super().video_sdp(), f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}"]
    script = Sprop()
    result, _ = assert_reads(script)
    assert int(result.tracks[1]) == sum(4 + len(nal) for nal in script.video.parameter_sets)


def test_annex_b_in_rtp():
    class AnnexB(Script):
        def payloads(self, nals):
            return [b"\0\0\0\1" + nal for nal in nals]
    assert_reads(AnnexB())


def test_annex_b_with_short_start_codes_over_tcp_in_huge_packets():
    class AnnexB(Script):
        def payloads(self, nals):
            return [b"\0\0\1" + nal for nal in nals]
    assert_reads(AnnexB())


@pytest.mark.parametrize("marker", [lambda i, n: False, lambda i, n: True, lambda i, n: i == 0],
                         ids=["never", "always", "first"])
def test_wrong_markers(marker):
    class Wrong(Script):
        def marker(self, place, count):
            return marker(place, count)
    assert_reads(Wrong())


@pytest.mark.parametrize("status", [401, 405, 501, 454, 500])
def test_keepalive_refused(status):
    class Refuses(Script):
        timeout_s, speed = 2, 1

        def on_options(self, session, request):
            return status, [], ""
        on_get_parameter = on_options
    result, camera = assert_reads(Refuses(), video=160, seconds=12)
    assert len(camera.asked("OPTIONS")) >= 2


def test_redirect_keeps_credentials():
    class Moved(Locked):
        def on_describe(self, session, request):
            if request.uri.endswith("/old"):
                return 302, [f"Location: {session.camera.url()}"], ""
            return super().on_describe(session, request)
    result, camera = read(Moved(), login=Locked.login, path="/old")
    result.assert_unharmed(camera)


def test_no_redirect_from_rtsps_to_rtsp(tmp_path):
    class Down(Script):
        def on_describe(self, session, request):
            return 302, ["Location: rtsp://127.0.0.1:9/"], ""
    tls, _ = certificate(tmp_path)
    result, _ = read(Down(), "--insecure", tls=tls)
    assert result.error == "camera_unreachable" and "rtsps" in result.end[1]


def test_redirect_without_end():
    class Loop(Script):
        def on_describe(self, session, request):
            return 302, [f"Location: {session.camera.url()}"], ""
    result, camera = read(Loop())
    assert result.error == "camera_unreachable"
    assert len(camera.asked("DESCRIBE")) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://127.0.0.1/", "", "rtsp://"])
def test_redirect_elsewhere(target):
    class Elsewhere(Script):
        def on_describe(self, session, request):
            return 302, [f"Location: {target}"], ""
    assert read(Elsewhere())[0].error == "camera_unreachable"


@pytest.mark.parametrize("jump", [-90000 * 5, 90000 * 3600], ids=["back", "an hour"])
def test_timestamps_that_jump_pass_through(jump):
    class Jumps(Script):
        def timestamp(self, frame):
            return frame * 90000 // FPS + (jump if frame >= 15 else 0)
    result, _ = assert_reads(Jumps())
    frames = [v[0] for v in result.video if v[3]]
    steps = {b - a for a, b in zip(frames, frames[1:])}
    assert steps == {40000, 40000 + jump * 1000000 // 90000}


def test_timestamps_that_wrap():
    class Wraps(Script):
        def timestamp(self, frame):
            return (1 << 32) - 36000 + frame * 90000 // FPS
    result, _ = assert_reads(Wraps())
    frames = [v[0] for v in result.video if v[3]]
    assert {b - a for a, b in zip(frames, frames[1:])} == {40000}


# --- what others learnt to do ----------------------------------------------------------------------------------------

def test_keepalive_at_half_the_session_timeout():
    class Short(Script):
        timeout_s, speed = 4, 1

        def on_options(self, session, request):
            return 200, ["Public: OPTIONS, GET_PARAMETER"], ""

        def on_get_parameter(self, session, request):
            return 200, [], ""
    _, camera = assert_reads(Short(), video=170, seconds=12)
    assert camera.methods()[4:6] == ["OPTIONS", "GET_PARAMETER"]
    play, first, second = (camera.requests[i].time for i in (3, 4, 5))
    assert 1.8 < first - play < 2.6 and 1.8 < second - first < 2.6


def test_keepalives_are_not_waited_for():
    class Mute(Script):
        timeout_s, speed = 2, 1

        def on_options(self, session, request):
            return None
    _, camera = assert_reads(Mute(), video=170, seconds=12)
    assert len(camera.asked("OPTIONS")) >= 2


@pytest.mark.parametrize("options", [(), ("--udp",)], ids=["tcp", "udp"])
def test_receiver_reports(options):
    script = Script()
    script.speed = 1
    _, camera = assert_reads(script, *options, video=160, seconds=12)
    reports = [data for _, data in camera.rtcp if data[1] == 201 and len(data) >= 32]
    sources = {struct.unpack(">I", data[8:12])[0] for data in reports}
    assert VIDEO_SSRC in sources and len(sources) == 2
    for data in reports:  # a compound packet: report, description
        size = 4 * struct.unpack(">H", data[2:4])[0] + 4
        assert data[size + 1] == 202 and len(data) == size + 4 * struct.unpack(">H", data[size + 2:size + 4])[0] + 4


def test_sequence_zero_and_bogus_rtp_info():
    class Bogus(Script):
        def on_play(self, session, request):
            session.sequence["video"] = 0
            return super().on_play(session, request)

        def rtp_info(self, session):
            return ["RTP-Info: url=trackID=1;seq=1;rtptime=4294967295,url=;seq=65535;rtptime=12"]
    result, _ = assert_reads(Bogus())
    assert result.video[0][0] == 0 and abs(result.audio[0][0]) < 200000


def test_rtcp_of_unknown_sources():
    class Unknown(Script):
        def wrap(self, session, track, packet):
            report = struct.pack(">BBHIQIII", 0x80, 200, 6, 0xDEADBEEF, random.getrandbits(63), 5, 0, 0)
            bye = struct.pack(">BBHI", 0x81, 203, 1, 0xDEADBEEF)
            channel = session.channels[track] + 1
            return b"".join(struct.pack(">BBH", 0x24, channel, len(p)) + p for p in (report, bye)) + super().wrap(
                session, track, packet)
    result, _ = assert_reads(Unknown())
    frames = [v[0] for v in result.video if v[3]]
    assert {b - a for a, b in zip(frames, frames[1:])} == {40000}


def test_every_request_has_user_agent_and_cseq():
    _, camera = assert_reads(Script())
    assert all(r.get("User-Agent") and "\r\nCSeq: " in r.text for r in camera.requests)
    assert [int(r.get("CSeq")) for r in camera.requests] == list(range(1, len(camera.requests) + 1))


def test_udp_packets_of_ten_thousand_bytes():
    class Large(Script):
        mtu = 10000
    assert_reads(Large(media(size="1280x720", bit_rate="8M")), "--udp")


def _fragment_bits(start, end):
    class Bits(Script):
        mtu = 300

        def payloads(self, nals):
            out = []
            for payload in super().payloads(nals):
                if payload[0] & 0x1F == 28:
                    flags = payload[1] & 0xC0
                    flags = (flags & 0x40 if start is None else flags) | (0x80 if start else 0)
                    flags = (flags & 0x80 if end is None else flags) | (0x40 if end else 0)
                    payload = payload[:1] + bytes([payload[1] & 0x3F | flags]) + payload[2:]
                out.append(payload)
            return out
    return Bits


@pytest.mark.parametrize("bits", [(True, False), (None, False), (False, True), (False, None), (False, False)],
                         ids=["start always", "start never", "end always", "end never", "right"])
def test_wrong_fragment_bits(bits):
    assert_reads(_fragment_bits(*bits)())


def test_transport_refused_udp_to_tcp():
    class TcpOnly(Script):
        udp = False
    _, camera = assert_reads(TcpOnly(), "--udp")
    assert camera.methods()[:4] == ["DESCRIBE", "SETUP", "DESCRIBE", "SETUP"]


def test_transport_refused_tcp_to_udp():
    class UdpOnly(Script):
        tcp = False
    _, camera = assert_reads(UdpOnly())
    assert "client_port=" in camera.asked("SETUP")[-1].get("Transport")


def test_neither_transport():
    class Neither(Script):
        tcp = udp = False
    assert read(Neither())[0].error == "camera_unreachable"


def test_describe_refused_without_options():
    class OptionsFirst(Script):
        def on_describe(self, session, request):
            if "OPTIONS" not in session.camera.methods():
                return 405, [], ""
            return super().on_describe(session, request)
    assert_reads(OptionsFirst())


def test_hangs_up_on_describe_without_options():
    class OptionsFirst(Script):
        def on_describe(self, session, request):
            if "OPTIONS" not in session.camera.methods():
                session.sock.shutdown(socket.SHUT_RDWR)
                return None
            return super().on_describe(session, request)
    assert_reads(OptionsFirst())


def test_another_payload_type_than_announced():
    class Other(Script):
        def video_type(self):
            return 97
    assert_reads(Other())


def test_requests_of_the_camera():
    class Asks(Script):
        def on_play(self, session, request):
            answer = super().on_play(session, request)
            session.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\nGET_PARAMETER * RTSP/1.0\r\nCSeq: 6\r\n\r\n")
            return answer
    assert_reads(Asks())


# --- UDP that loses and reorders -------------------------------------------------------------------------------------

def test_udp_out_of_order():
    class Shuffled(Script):
        mtu = 300

        def datagrams(self, session, track, packets):
            chunks = [packets[i:i + 4] for i in range(0, len(packets), 4)]
            order = random.Random(1)
            for chunk in chunks:
                order.shuffle(chunk)
            return [p for chunk in chunks for p in chunk]
    assert_reads(Shuffled(), "--udp", video=60)


def test_udp_duplicates():
    class Twice(Script):
        def datagrams(self, session, track, packets):
            return [p for p in packets for _ in range(2)]
    assert_reads(Twice(), "--udp")


@pytest.mark.parametrize("transport", [(), ("--udp",)], ids=["tcp", "udp"])
def test_loss_is_told(transport):
    """Every NAL unit that arrives is one that was sent, or says that something is missing."""
    class Lossy(Script):
        mtu = 300

        def __init__(self):
            super().__init__()
            self.dice = random.Random(7)
            self.lost = 0

        def datagrams(self, session, track, packets):
            kept = [p for p in packets if track != "video" or self.dice.random() >= 0.05]
            self.lost += len(packets) - len(kept)
            return kept
    script = Lossy()
    result, camera = read(script, *transport, video=100)
    assert result.end is None and script.lost > 5
    sent = set(camera.sent)
    whole = [v for v in result.video if v[2] in sent]
    assert len(whole) > 20
    assert all(v[4] for v in result.video if v[2] not in sent)
    assert result.lost() > 3


# --- errors have their own code, in time -----------------------------------------------------------------------------

@pytest.mark.parametrize("status,error", [(404, "camera_not_found"), (403, "camera_unauthorized"),
                                          (401, "camera_unauthorized"), (454, "camera_not_found"),
                                          (453, "camera_unreachable"), (503, "camera_unreachable")])
def test_statuses(status, error):
    class Refuses(Script):
        def on_describe(self, session, request):
            return status, [], ""
    result, _ = read(Refuses())
    assert result.error == error


def test_no_video():
    class AudioOnly(Script):
        def video_sdp(self):
            return []
    assert read(AudioOnly())[0].error == "camera_no_video"


def test_unsupported_codec():
    class Jpeg(Script):
        def video_sdp(self):
            return ["m=video 0 RTP/AVP 26", "a=control:trackID=1"]
    result, camera = read(Jpeg())
    assert result.error == "unsupported_codec"
    assert camera.methods()[-1] == "TEARDOWN"


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = probe(f"rtsp://127.0.0.1:{port}/")
    assert result.error == "camera_unreachable" and "refused" in result.end[1]


@pytest.mark.parametrize("url", ["rtsp://no-such-host.invalid/", "rtsp://\u00ff\u00fe/", "http://x/", "rtsp://x:y/"])
def test_bad_hosts(url):
    assert probe(url, "--connect-ms", "5000", seconds=15).error in ("camera_unreachable", "camera_timeout")


def test_never_answers():
    class Mute(Script):
        def answer(self, session, request):
            return None
    began = time.monotonic()
    result, _ = read(Mute(), "--connect-ms", "1000")
    assert result.error == "camera_timeout" and time.monotonic() - began < 4


def test_no_rtsp_server():
    class Web(Script):
        def reply(self, request, status, lines, body):
            return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    assert read(Web(), "--connect-ms", "2000")[0].error in ("camera_unreachable", "camera_timeout")


@pytest.mark.parametrize("after", range(4), ids=["describe", "setup", "setup again", "play"])
def test_connection_lost(after):
    class Dies(Script):
        def answer(self, session, request):
            if len(session.camera.requests) > after:
                session.sock.shutdown(socket.SHUT_RDWR)
                return None
            return super().answer(session, request)
    result, _ = read(Dies())
    assert result.error == "camera_unreachable"


def test_teardown_never_answered():
    class Mute(Script):
        def on_teardown(self, session, request):
            return None
    began = time.monotonic()
    assert_reads(Mute(), video=10)
    assert time.monotonic() - began < 5


def test_waiting_for_the_answer_to_teardown_takes_no_processor_time():
    class Lossy(Script):
        mtu = 200

        def datagrams(self, session, track, packets):  # so that some always wait for one that is missing
            return packets[::2] if track == "video" else packets

        def on_teardown(self, session, request):
            session.ended.set()
            return None
    result, camera = read(Lossy(), "--udp")
    assert camera.methods()[-1] == "TEARDOWN"
    assert result.closing_cpu_us < 30000  # of half a second


# --- RTSPS -----------------------------------------------------------------------------------------------------------

def test_rtsps_with_a_known_certificate(tmp_path):
    tls, ca = certificate(tmp_path)
    assert_reads(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": ca})


def test_rtsps_with_a_directory_of_certificates(tmp_path):
    tls, ca = certificate(tmp_path)
    folder = tmp_path / "trusted"
    folder.mkdir()
    shutil.copy(ca, folder)
    subprocess.run(["openssl", "rehash", folder], check=True, timeout=60)
    assert_reads(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": None, "SSL_CERT_DIR": str(folder)})


def test_rtsps_checks_the_certificate(tmp_path):
    tls, _ = certificate(tmp_path)
    result, camera = read(Locked(), tls=tls, login=Locked.login)
    assert result.error == "camera_unreachable" and "certificate" in result.end[1]
    assert not camera.requests


def test_rtsps_checks_the_name(tmp_path):
    tls, ca = certificate(tmp_path, "127.0.0.9")
    result, camera = read(Locked(), tls=tls, login=Locked.login, env={"SSL_CERT_FILE": ca})
    assert result.error == "camera_unreachable" and not camera.requests


def test_rtsps_with_any_certificate(tmp_path):
    tls, _ = certificate(tmp_path)
    assert_reads(Locked(), "--insecure", tls=tls, login=Locked.login)


def test_rtsps_keeps_media_within_tls(tmp_path):
    tls, ca = certificate(tmp_path)
    _, camera = assert_reads(Script(), "--udp", tls=tls, env={"SSL_CERT_FILE": ca})
    assert "interleaved=" in camera.asked("SETUP")[0].get("Transport")

    class UdpOnly(Script):
        tcp = False
    result, camera = read(UdpOnly(), tls=tls, env={"SSL_CERT_FILE": ca})
    assert result.error == "camera_unreachable" and len(camera.asked("SETUP")) == 1


def test_rtsps_to_a_port_without_tls():
    with ScriptedCamera(Script()) as camera:
        result = probe(camera.url().replace("rtsp:", "rtsps:"), "--connect-ms", "2000")
    assert result.error in ("camera_unreachable", "camera_timeout")
