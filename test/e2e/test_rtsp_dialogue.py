"""RTSP cameras that break the rules of the dialogue, from DESCRIBE to TEARDOWN: the source reads them all.

Each test is one thing that real cameras do, from the field notes on libavformat, go2rtc, gortsplib, retina and
ZLMediaKit, against the RTSP source alone (build/*/test/rtsp_probe).  What arrives is compared NAL unit by NAL unit with
what the scripted camera sent.
"""
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.scripted_rtsp import Locked, Script, assert_reads, certificate, read


def test_a_camera_that_does_everything_right():
    result, camera = assert_reads(Script())
    assert camera.methods() == ["DESCRIBE", "SETUP", "SETUP", "PLAY", "TEARDOWN"]
    assert result.tracks[:1] + result.tracks[2:] == ["h264", "pcm_alaw", "8000"]
    assert len(result.audio) > 5
    frames = [v[0] for v in result.video if v[3]]
    assert [b - a for a, b in zip(frames, frames[1:])] == [40000] * (len(frames) - 1)


def test_every_request_has_user_agent_and_cseq():
    _, camera = assert_reads(Script())
    assert all(r.get("User-Agent") and "\r\nCSeq: " in r.text for r in camera.requests)
    assert [int(r.get("CSeq")) for r in camera.requests] == list(range(1, len(camera.requests) + 1))


def test_options_not_implemented():
    class NoOptions(Script):
        timeout_s, speed = 2, 1  # a keep-alive within the test

        def on_options(self, session, request):
            return 501, [], ""
    assert_reads(NoOptions(), video=90)


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


def test_play_never_answered():
    class NoAnswer(Script):
        def on_play(self, session, request):
            session.start_media()
    assert_reads(NoAnswer())


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


def test_requests_of_the_camera():
    class Asks(Script):
        def on_play(self, session, request):
            answer = super().on_play(session, request)
            session.send(b"OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\nGET_PARAMETER * RTSP/1.0\r\nCSeq: 6\r\n\r\n")
            return answer
    assert_reads(Asks())


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


# --- descriptions and the URLs in them --------------------------------------------------------------------------------

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


def test_metadata_and_back_channel_are_not_set_up():
    class Onvif(Script):
        def audio_sdp(self):
            return ["m=audio 0 RTP/AVP 0", "a=control:trackID=8", "a=sendonly", "m=audio 0 RTP/AVP 8",
                    "a=rtpmap:8 PCMA/8000", "a=control:trackID=2", "a=recvonly", "m=application 0 RTP/AVP 107",
                    "a=rtpmap:107 vnd.onvif.metadata/90000", "a=control:trackID=9"]
    result, camera = assert_reads(Onvif())
    assert [r.uri[-1] for r in camera.asked("SETUP")] == ["1", "2"]
    assert result.tracks[2] == "pcm_alaw"


# --- transports -------------------------------------------------------------------------------------------------------

def test_setup_of_audio_rejected():
    class NoAudio(Script):
        def on_setup(self, session, request):
            return (404, [], "") if self.track_of(request.uri) == "audio" else super().on_setup(session, request)
    result, _ = assert_reads(NoAudio())
    assert result.tracks[2] == "none"


def test_rtp_avp_in_a_tcp_reply():
    class Escam(Script):
        def tcp_transport(self, session, track):
            channel = session.channels[track]
            return ("RTP/AVP;unicast;destination=192.168.1.111;source=192.168.1.222;"
                    f"interleaved={channel}-{channel + 1}")
    assert_reads(Escam())


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


# --- keep-alives ------------------------------------------------------------------------------------------------------

class RefusesKeepAlive(Script):
    timeout_s, speed = 2, 1

    def __init__(self, status):
        super().__init__()
        self.status = status

    def on_options(self, session, request):
        return self.status, [], ""
    on_get_parameter = on_options


REFUSALS = 401, 405, 501, 454, 500


@pytest.fixture(scope="module")
def refusals():
    """Most of it is waiting, so all run at once."""
    with ThreadPoolExecutor(len(REFUSALS)) as pool:
        yield {status: pool.submit(assert_reads, RefusesKeepAlive(status), video=160, seconds=12) for status in REFUSALS}


@pytest.mark.parametrize("status", REFUSALS)
def test_keepalive_refused(refusals, status):
    _, camera = refusals[status].result()
    assert len(camera.asked("OPTIONS" if status != 401 else "GET_PARAMETER")) >= 2


class Counting(Script):
    """Ends a session that was not kept alive in a way that counts."""
    timeout_s, speed = 4, 1
    counts = ()
    public = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"

    def on_play(self, session, request):
        session.alive = time.monotonic()
        threading.Thread(target=self.watch, args=(session,), daemon=True).start()
        return super().on_play(session, request)

    def watch(self, session):
        while not session.ended.wait(0.02):
            if time.monotonic() - session.alive > self.timeout_s:
                session.ended.set()
                session.sock.shutdown(2)

    def answer(self, session, request):
        if request.method in self.counts:
            session.alive = time.monotonic()
        return super().answer(session, request)

    def on_options(self, session, request):
        return 200, ["Public: " + self.public], ""

    def on_get_parameter(self, session, request):
        return 200, [self.session_line(session)], ""


KEPT_ALIVE_BY = ("GET_PARAMETER", True), ("GET_PARAMETER", False), ("OPTIONS", False)


@pytest.fixture(scope="module")
def kept_alive():
    """Most of it is waiting, so all run at once."""
    def run(counts, listed):
        script = Counting()
        script.counts = (counts,)
        if listed:
            script.public += ", GET_PARAMETER"
        return assert_reads(script, video=280, seconds=20)
    with ThreadPoolExecutor(len(KEPT_ALIVE_BY)) as pool:
        yield {way: pool.submit(run, *way) for way in KEPT_ALIVE_BY}


@pytest.mark.parametrize("counts, listed", KEPT_ALIVE_BY)
def test_keepalive_that_counts(kept_alive, counts, listed):
    """Which request counts is written nowhere."""
    _, camera = kept_alive[counts, listed].result()
    assert len(camera.sessions) == 1


def test_keepalive_get_parameter_is_not_answered():
    class Mute(Counting):
        counts = ("OPTIONS",)

        def on_get_parameter(self, session, request):
            return None
    _, camera = assert_reads(Mute(), video=280, seconds=20)
    assert len(camera.sessions) == 1 and len(camera.asked("GET_PARAMETER")) == 1


def test_keepalive_at_half_the_session_timeout():
    class Short(Script):
        timeout_s, speed = 4, 1

        def on_options(self, session, request):
            return 200, ["Public: OPTIONS, GET_PARAMETER"], ""

        def on_get_parameter(self, session, request):
            return 200, [], ""
    _, camera = assert_reads(Short(), video=170, seconds=12)
    assert camera.methods()[4:7] == ["GET_PARAMETER", "OPTIONS", "GET_PARAMETER"]
    play, first, second = (camera.requests[i].time for i in (3, 4, 6))
    assert 1.8 < first - play < 2.6 and 1.8 < second - first < 2.6


def test_keepalives_are_not_waited_for():
    class Mute(Script):
        timeout_s, speed = 2, 1

        def on_options(self, session, request):
            return None
        on_get_parameter = on_options
    _, camera = assert_reads(Mute(), video=170, seconds=12)
    assert len(camera.asked("OPTIONS")) >= 2


# --- redirects --------------------------------------------------------------------------------------------------------

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
