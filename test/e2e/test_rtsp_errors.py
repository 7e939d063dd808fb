"""RTSP cameras that refuse or fall silent, and servers that are no cameras: each has its own error, in time.

Like test_rtsp_dialogue: against the RTSP source alone.  What viewers are told is in test_camera_errors.
"""
import socket
import struct
import threading
import time

import pytest

from lib.scripted_rtsp import VIDEO_SSRC, Script, probe, read


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
    class H261(Script):
        def video_sdp(self):
            return ["m=video 0 RTP/AVP 31", "a=control:trackID=1"]
    result, camera = read(H261())
    assert result.error == "unsupported_codec"
    assert camera.methods()[-1] == "TEARDOWN"


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = probe(f"rtsp://127.0.0.1:{port}/")
    assert result.error == "camera_unreachable" and "refused" in result.end[1]


def test_no_such_host():
    result = probe("rtsp://no-such-host.invalid/", "--connect-ms", "5000", seconds=15)
    assert result.error in ("camera_unreachable", "camera_timeout")


@pytest.mark.parametrize("url", ["rtsp://\u00ff\u00fe/", "http:x/", "rtsp://x:y/"])
def test_not_a_camera_url(url):
    """Such a URL never becomes a source: there is one grammar."""
    with pytest.raises(AssertionError, match="rtsp-probe: "):
        probe(url, seconds=5)


@pytest.mark.parametrize("profile, path", [("RTP/SAVP", "/cam"), ("RTP/SAVPF", "/cam"), ("RTP/AVP", "/cam?enableSrtp")])
def test_encrypted_media(profile, path):
    """SRTP is not taken for plain RTP, and not for silence."""
    class Encrypted(Script):
        def video_sdp(self):
            return [f"m=video 0 {profile} 96", *super().video_sdp()[1:]]
    began = time.monotonic()
    result, camera = read(Encrypted(), path=path)
    assert result.error == "unsupported_codec" and "SRTP" in result.end[1]
    assert time.monotonic() - began < 5
    assert not camera.asked("SETUP")


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
