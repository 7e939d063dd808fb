"""What viewers live through: joining, being slow, WebSocket, cameras that lie about time or change."""
import contextlib
import json
import os
import re
import resource
import signal
import struct
import unittest.mock

import pytest

from conftest import QUICK
from lib import fake_rtsp, ffmpeg, processes
from lib.flv import FlvReader
from lib.http import SlowReader, connect, head_bytes, request, stream_target
from lib.wait import wait_for
from lib.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket

HOUR = 3600


def steps(frames):
    return [b.dts - a.dts for a, b in zip(frames, frames[1:])]


def assert_sound_timeline(flv):
    """What every player takes: times grow, never by more than a second, sound stays with the picture."""
    flv.check()
    assert min(steps(flv.video)) > 0 and max(steps(flv.video)) <= 1000, steps(flv.video)
    assert min(steps(flv.audio)) > 0 and max(steps(flv.audio)) <= 1000, steps(flv.audio)
    assert abs(flv.video[-1].dts - flv.audio[-1].dts) < 600


def assert_decodable(flv, media):
    """Every picture follows the one before it in the camera's loop, or is a key frame."""
    loop = media.slices()
    numbers = [loop.index(frame.pictures()[0]) for frame in flv.video]
    assert flv.video[0].key
    for at in range(1, len(numbers)):
        follows = numbers[at] == (numbers[at - 1] + 1) % len(loop)
        assert follows or flv.video[at].key, (at, numbers[at - 1:at + 1])
    return numbers


# --- time ------------------------------------------------------------------------------------------

def ticks(track, seconds):
    return int(seconds * (90000 if track == "video" else 8000))


STAMPS = {
    "jump forward": lambda track, s, t: t + ticks(track, HOUR if s > 2 else 0),
    "jump back": lambda track, s, t: t + ticks(track, 2 * HOUR - (HOUR if s > 2 else 0)),
    "video alone jumps": lambda track, s, t: t + ticks(track, 100 if s > 2 and track == "video" else 0),
    "equal pairs": lambda track, s, t: t if track == "audio" else t // 7200 * 7200,
    "none at all": lambda track, s, t: 0,
    "stuck for a second": lambda track, s, t: ticks(track, 2) if 2 < s < 3 else t,
    "wraps": lambda track, s, t: (t + 2 ** 32 - ticks(track, 2)) % 2 ** 32,
    "one percent fast": lambda track, s, t: int(t * 1.01),
    "different bases": lambda track, s, t: t + ticks(track, 777 if track == "audio" else 0),
    "small steps back": lambda track, s, t: t - (ticks(track, 0.1) if track == "video" and int(s * 25) % 10 == 9 else 0),
}


@pytest.mark.parametrize("defect", STAMPS)
def test_timestamps_are_repaired(shared_gateway, make_camera, defect):
    camera = make_camera()
    camera.stamp = STAMPS[defect]
    with shared_gateway.view(camera.url()) as viewer:
        viewer.wait_frames(130)
    assert_sound_timeline(viewer.flv)
    assert_decodable(viewer.flv, camera.video)
    # The stream's clock goes as time goes, whatever the camera's does.
    first, last = viewer.flv.video[0], viewer.flv.video[-1]
    assert abs((last.dts - first.dts) / 1000 - (last.received - first.received)) < 1.5


REPORTS = {
    "in order": lambda s: 1.7e9 + s,
    "the camera's clock is set": lambda s: 1.7e9 + s + (HOUR if s > 2 else 0),
    "corrected in small steps": lambda s: 1.7e9 + s + 0.3 * int(s),
}


@pytest.mark.parametrize("reports", REPORTS)
def test_sender_reports_do_not_tear_the_stream(shared_gateway, make_camera, reports):
    """Tracks of different bases, which only RTCP brings together, and an RTCP that changes its mind."""
    camera = make_camera()
    camera.stamp = STAMPS["different bases"]
    camera.wall = REPORTS[reports]
    with shared_gateway.view(camera.url()) as viewer:
        viewer.wait_frames(130)
    assert_sound_timeline(viewer.flv)
    assert_decodable(viewer.flv, camera.video)


@pytest.mark.parametrize("join", ["live", "gop"])
def test_b_frames(shared_gateway, make_camera, join):
    """RTP has no decoding times: those made up fit the order of display, of frames compressed in time as well."""
    camera = make_camera(fake_rtsp.counting_media(gop=100, bframes=2, frames=100))
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(60)
        with shared_gateway.view(camera.url(), join=join) as viewer:
            viewer.wait_frames(90)
    for flv in (first.flv, viewer.flv):
        assert_sound_timeline(flv)
        shown = [frame.pts for frame in flv.video]
        expected = [camera.video.shown[n % 100] + n // 100 * 100 for n in range(len(shown))]
        order = sorted(range(len(shown)), key=shown.__getitem__)
        assert [expected[n] for n in order] == sorted(expected) and len(set(shown)) == len(shown)
        steps_back = [b for a, b in zip(shown, shown[1:]) if b < a]
        assert steps_back, "no B-frames: the test's camera is not what it should be"


# --- cameras that change --------------------------------------------------------------------------

def replace(camera, viewer, **changes):
    """The camera goes away and comes back as another one."""
    camera.close()
    wait_for(lambda: camera.open_connections() == 0, 10, "the connection to be cut")
    for name, value in changes.items():
        setattr(camera, name, value)
    camera.listen()


def test_resolution_changes(gateway, camera):
    other = fake_rtsp.media("h264", size="640x360")
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(30)
        replace(camera, viewer, video=other)
        viewer.wait(lambda v: len(v.flv.video_configs) == 2, 60, "the new sequence header")
        viewer.wait_more(30)
    flv = viewer.flv
    assert_sound_timeline(flv)
    assert flv.video_configs[1].parameter_sets == other.parameter_sets
    first = next(frame for frame in flv.video if frame.config is flv.video_configs[1])
    assert first.key
    in_band = [nal for nal in first.nal_units() if nal[0] & 31 in (7, 8)]
    assert in_band == other.parameter_sets, "players that ignore later headers need them in the stream"
    new = [frame for frame in flv.video if frame.config is flv.video_configs[1]]
    assert [f.pictures()[0] for f in new] == (other.slices() * 2)[:len(new)]


def test_the_same_camera_is_not_announced_twice(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(30)
        replace(camera, viewer)
        viewer.wait_more(60)
    assert_sound_timeline(viewer.flv)
    assert (len(viewer.flv.video_configs), len(viewer.flv.audio_configs)) == (1, 1)


@pytest.mark.parametrize("change", ["codec", "audio gone"])
def test_what_no_player_takes_ends_the_connection(gateway, camera, change):
    changes = {"video": fake_rtsp.media("hevc")} if change == "codec" else {"audio": False}
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(30)
        replace(camera, viewer, **changes)
        viewer.wait_closed(60)
        assert viewer.flv.rest == 0, "closed in the middle of a tag"
    viewer.flv.check()
    with gateway.view(camera.url()) as again:
        again.wait_frames(10)
    assert again.flv.has_audio == (change == "codec")


# --- joining ----------------------------------------------------------------------------------------

def metric(gateway, name):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def test_gop_that_outgrows_its_bound(make_gateway, make_camera):
    """Whoever joins then waits for the next key frame, and gets a sound stream from there."""
    gateway = make_gateway(QUICK + "gop_max_bytes = 65536\n")
    media = fake_rtsp.media("h264", size="1280x720", bit_rate="3M", seconds=4, gop=50)
    camera = make_camera(media)
    with gateway.view(camera.url()) as first:
        first.wait_frames(20)
        with gateway.view(camera.url()) as second:
            second.wait_frames(60)
        first.wait_more(1)
        wait_for(lambda: metric(gateway, "cam_httpflv_gop_overflows_total") >= 1, 20, "the overflow to be counted")
    assert_decodable(first.flv, media)
    assert assert_decodable(second.flv, media)[0] % 50 == 0
    assert_sound_timeline(second.flv)


def test_join_key_waits_for_the_next_key_frame(shared_gateway, make_camera):
    media = fake_rtsp.media("h264", gop=50)
    camera = make_camera(media)
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(10)
        with shared_gateway.view(camera.url(), join="key") as second:
            second.wait_frames(5)
            assert_decodable(second.flv, media)
            assert second.flv.video[0].dts == 0
            # The first viewer got that picture at the same time, not earlier.
            picture = second.flv.video[0].pictures()[0]
            first.wait(lambda v: any(f.pictures()[0] == picture and f.received >= second.started
                                     for f in v.flv.video), 10, "the same picture at the first viewer")


def test_many_join_at_once(shared_gateway, make_camera):
    """More than the channel to the worker holds: all are served, none is told to come again."""
    camera = make_camera()
    request_head = head_bytes(stream_target(camera.url(), audio="none"))
    with shared_gateway.view(camera.url()) as first, contextlib.ExitStack() as stack:
        first.wait_frames(10)
        worker = shared_gateway.worker_of(camera.port)[0]
        os.kill(worker, signal.SIGSTOP)
        try:
            socks = [stack.enter_context(connect(shared_gateway.flv_port)) for _ in range(600)]
            for sock in socks:
                sock.sendall(request_head)
            assert request(shared_gateway.snapshot_port, "/healthz").status == 200  # those before have been read
        finally:
            os.kill(worker, signal.SIGCONT)
        assert {sock.recv(12) for sock in socks} == {b"HTTP/1.1 200"}


# --- slow viewers, and those who leave -----------------------------------------------------------------

def test_slow_viewers_get_decodable_pictures_and_hold_nobody_up(make_gateway, make_camera):
    """One reads a tenth of the bit rate, one nothing at all."""
    gateway = make_gateway(QUICK + "[viewer]\nqueue_max_ms = 700\n")
    media = fake_rtsp.media("h264", size="1280x720", bit_rate="6M")
    camera = make_camera(media)
    with gateway.view(camera.url()) as healthy, connect(gateway.flv_port) as stuck, \
            SlowReader(gateway.flv_port, stream_target(camera.url()), 75000) as slow:
        healthy.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]
        stuck.sendall(head_bytes(stream_target(camera.url())))
        slow.read_until(lambda flv: len(flv.video) >= 60, 60)
        memory = processes.pss_bytes(worker)
    numbers = assert_decodable(slow.flv, media)
    skips = sum((b - a) % len(media.units) != 1 for a, b in zip(numbers, numbers[1:]))
    assert skips >= 2, "nothing was skipped: the test's viewer was not slow"
    assert min(steps(slow.flv.video)) > 0 and max(steps(slow.flv.video)) <= 1000, "a skip must not be a gap in time"
    assert len(slow.flv.video_configs) == 1
    pictures = ffmpeg.decode_video("h264", slow.flv.annex_b(), 64, 36)  # complains about anything missing
    assert len(pictures) == len(slow.flv.video)
    assert memory < 100 << 20, memory
    healthy.flv.check()
    loop = media.slices()
    assert [loop.index(f.pictures()[0]) for f in healthy.flv.video] == [
        n % len(loop) for n in range(len(healthy.flv.video))], "the healthy viewer lost a frame"


def viewers_of(gateway):
    streams = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    return sum(stream["viewers"] for stream in streams)


def test_viewers_who_leave_are_noticed(gateway, camera):
    viewers = [gateway.view(camera.url()) for _ in range(5)]
    for viewer in viewers:
        viewer.wait_frames(2)
    wait_for(lambda: viewers_of(gateway) == 5, 20, "five viewers to be counted")
    camera.muted.set()  # nothing is written that could fail
    for viewer in viewers:
        viewer.close()
    wait_for(lambda: viewers_of(gateway) == 0, 20, "their leaving to be noticed")


# --- WebSocket -----------------------------------------------------------------------------------------

def ws_target(camera, **parameters):
    return stream_target(camera.url(), path="/live.flv", **parameters)


def test_websocket_carries_the_same_stream(shared_gateway, make_camera):
    camera = make_camera()
    with WebSocket(shared_gateway.flv_port, ws_target(camera), {"Origin": "http://wall.example"}) as ws:
        assert ws.status == 101
        assert "sec-websocket-protocol" not in ws.headers
        flv = FlvReader()
        first = ws.wait_for(BINARY)
        assert first[:3] == b"FLV" and len(first) > 13, "the header alone is refused by flv.js"
        flv.feed(first)
        while len(flv.video) < 40:
            flv.feed(ws.wait_for(BINARY))
            assert flv.rest == 0, "a message holds whole tags"
    assert_sound_timeline(flv)
    assert_decodable(flv, camera.video)


def test_websocket_control_frames(shared_gateway, make_camera):
    camera = make_camera()
    with WebSocket(shared_gateway.flv_port, ws_target(camera), {"Sec-WebSocket-Protocol": "flv, other"}) as ws:
        assert ws.headers["sec-websocket-protocol"] == "flv"
        ws.wait_for(BINARY)
        for text in (b"", b"ping", b"x" * 125):
            ws.send(PING, text)
            assert ws.wait_for(PONG) == text
        ws.send(CLOSE, struct.pack(">H", 1000))
        assert struct.unpack(">H", ws.wait_for(CLOSE)[:2])[0] == 1000
        with pytest.raises(EOFError):
            ws.frame()


def test_websocket_protocol_errors_close_with_their_code(shared_gateway, make_camera):
    camera = make_camera()
    for send, code in ((lambda ws: ws.send(PING, b"bare", masked=False), 1002),
                       (lambda ws: ws.send(3, b"reserved opcode"), 1002),
                       (lambda ws: ws.send(PING, b"in parts", final=False), 1002)):
        with WebSocket(shared_gateway.flv_port, ws_target(camera)) as ws:
            ws.wait_for(BINARY)
            send(ws)
            assert struct.unpack(">H", ws.wait_for(CLOSE)[:2])[0] == code


def closed_with(ws, streamed=False):
    """The code and the error of the close frame; the connection ends with it.  A text message has told the whole error
    before, if no stream had begun."""
    whole = None if streamed else json.loads(ws.wait_for(TEXT))["error"]
    payload = ws.wait_for(CLOSE)
    with pytest.raises(EOFError):
        ws.frame()
    error = json.loads(payload[2:])["error"]
    assert whole is None or (whole["code"], whole["message"][:60]) == (error["code"], error["message"][:60])
    return struct.unpack(">H", payload[:2])[0], error


def test_websocket_is_told_the_error_in_its_close_frame(shared_gateway, make_camera):
    """Whether the master knows it or the worker finds it out: browsers tell pages nothing of a refused handshake."""
    camera = make_camera()
    camera.close()
    locked = make_camera(user="admin", password="right-1")
    for target, status, code in ((ws_target(camera), 502, "camera_unreachable"),
                                 (ws_target(locked), 502, "camera_unauthorized"),
                                 (ws_target(locked), 502, "camera_unauthorized"),  # from memory
                                 ("/?cam=nobody", 404, "unknown_camera"),
                                 ("/x.flv", 400, "missing_camera"),
                                 (ws_target(camera, join="never"), 400, "bad_parameter"),
                                 ("/?cam_url=ftp://h/x", 400, "unsupported_scheme")):
        with WebSocket(shared_gateway.flv_port, target) as ws:
            assert ws.status == 101, target
            told, error = closed_with(ws)
            assert (told, error["code"]) == (4000 + status, code) and error["message"], target
            ws.send(CLOSE, struct.pack(">H", told))  # as browsers answer
    for headers in ({"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": "short"}):
        with WebSocket(shared_gateway.flv_port, "/?cam=nobody", headers) as ws:
            assert ws.status == 400  # it is no WebSocket
            assert ws.headers["sec-websocket-version"] == "13"


def test_websocket_without_the_token_and_without_a_place(make_gateway, camera):
    gateway = make_gateway("[server]\nmax_viewers = 1\n[access]\ntoken = tok\n" + QUICK)
    with WebSocket(gateway.flv_port, ws_target(camera)) as ws:
        assert closed_with(ws)[0] == 4401
    with WebSocket(gateway.flv_port, ws_target(camera, token="tok")) as ws:
        ws.wait_for(BINARY)
        with WebSocket(gateway.flv_port, ws_target(camera, token="tok")) as other:
            assert closed_with(other) == (4503, {"code": "too_many_viewers", "message": unittest.mock.ANY})
        os.kill(gateway.pid, signal.SIGTERM)
        assert struct.unpack(">H", ws.wait_for(CLOSE)[:2])[0] == 1001


def test_websocket_that_waits_for_its_camera(make_gateway, make_camera):
    """It is accepted at once, answers pings, may leave, and learns in its close frame that nothing came."""
    silent = make_camera(silent="accept")
    gateway = make_gateway(QUICK)
    with WebSocket(gateway.flv_port, ws_target(silent)) as ws, WebSocket(gateway.flv_port, ws_target(silent)) as other:
        assert ws.status == other.status == 101
        for text in (b"", b"ping", b"x" * 125):
            ws.send(PING, text)
            assert ws.wait_for(PONG) == text
        other.send(CLOSE, struct.pack(">H", 1000))
        assert struct.unpack(">H", other.wait_for(CLOSE)[:2])[0] == 1000
        with pytest.raises(EOFError):
            other.frame()
        told, error = closed_with(ws)
        assert (told, error["code"]) == (4504, "camera_timeout")


def test_websocket_is_told_why_its_stream_ends(make_gateway, make_camera):
    camera = make_camera()
    gateway = make_gateway(QUICK.replace("reconnect_window_ms = 20000", "reconnect_window_ms = 1000"))
    with WebSocket(gateway.flv_port, ws_target(camera)) as ws:
        ws.wait_for(BINARY)
        camera.close()
        told, error = closed_with(ws, streamed=True)
        assert (told, error["code"]) == (4502, "camera_unreachable")


# --- H.264 for those who cannot play HEVC ---------------------------------------------------------------

def test_hevc_camera_as_h264(shared_gateway, make_camera):
    camera = make_camera(fake_rtsp.media("hevc", size="640x360", gop=100))
    ffplay_5 = {"User-Agent": "Lavf/59.27.100"}
    with shared_gateway.view(camera.url()) as original, \
            shared_gateway.view(camera.url(), headers=ffplay_5) as known, \
            shared_gateway.view(camera.url(), headers=ffplay_5, hevc="legacy") as asked, \
            shared_gateway.view(camera.url(), allow_h265="false") as transcoded:
        transcoded.wait_frames(120)
        for other in (original, known, asked):
            other.wait_frames(10)
    for viewer, dialect, codec in ((original, "enhanced", "H.265"), (known, "avc", "H.264"),
                                   (asked, "legacy", "H.265"), (transcoded, "avc", "H.264")):
        assert [c.dialect for c in viewer.flv.video_configs] == [dialect]
        assert viewer.headers["x-video-codec"] == codec
    flv = transcoded.flv
    assert (flv.metadata["width"], flv.metadata["height"]) == (640, 360)
    assert_sound_timeline(flv)
    keys = [frame.dts for frame in flv.video if frame.key]
    assert max(b - a for a, b in zip(keys, keys[1:])) <= 2500, "a key frame at least every 2 s"
    assert camera.plays == 1


def transcoders(gateway):
    """Lines of the transcoders started so far."""
    return [int(lines) for lines in re.findall(r"transcoding to H.264 of up to (\d+) lines", gateway.log())]


def test_transcoded_at_the_size_that_is_looked_at(gateway, make_camera):
    """One transcoder for each class of sizes that somebody wants, shared; none makes the picture larger."""
    camera = make_camera(fake_rtsp.media("hevc", size="1280x720"))
    want = {"16": (640, 360), "360": (640, 360), "361": (960, 540), "720": (1280, 720), "1080": (1280, 720),
            "7680": (1280, 720), None: (1280, 720)}
    with contextlib.ExitStack() as stack:
        for height, size in want.items():
            asked = {} if height is None else {"height": height}
            viewer = stack.enter_context(gateway.view(camera.url(), allow_h265="false", **asked))
            viewer.wait_frames(3)
            viewer.flv.check()
            assert (viewer.flv.metadata["width"], viewer.flv.metadata["height"]) == size, height
        original = stack.enter_context(gateway.view(camera.url(), height="360"))  # it is not transcoded
        original.wait_frames(3)
        assert original.headers["x-video-codec"] == "H.265" and original.flv.metadata["height"] == 720
        assert sorted(transcoders(gateway)) == [360, 540, 1080]
    assert camera.plays == 1


def test_small_cameras_are_transcoded_once(gateway, make_camera):
    """Whatever size is asked for, also by those who come before the camera's size is known."""
    camera = make_camera(fake_rtsp.media("hevc", size="320x180"))
    camera.muted.set()
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(gateway.view(camera.url(), allow_h265="false", height=height))
                   for height in ("360", "720", "1080")]
        wait_for(lambda: camera.plays == 1, 30, "the camera to be connected")
        camera.muted.clear()
        viewers.append(stack.enter_context(gateway.view(camera.url(), allow_h265="false")))
        for viewer in viewers:
            viewer.wait_frames(3)
            assert viewer.flv.metadata["height"] == 180
        assert transcoders(gateway) == [1080]


def test_transcoder_that_lacks_memory_is_tried_again(make_gateway, make_camera):
    """A shortage is answered with 503 and ends; only a libavcodec without the codecs says 502 for ever."""
    gateway = make_gateway("[server]\nsandbox = off\n" + QUICK)  # or its memory has limits that only it may change
    camera = make_camera(fake_rtsp.media("hevc"))
    with gateway.view(camera.url(), hevc="legacy") as viewer:
        viewer.wait_frames(5)
        worker, = gateway.worker_of(camera.port)
        before = resource.prlimit(worker, resource.RLIMIT_AS)
        room = processes.virtual_bytes(worker) + (2 << 20)  # less than a thread's stack
        resource.prlimit(worker, resource.RLIMIT_AS, (room, before[1]))
        answer = gateway.get(camera.url(), allow_h265="false")
        assert (answer.status, answer.code) == (503, "overloaded"), answer.body
        resource.prlimit(worker, resource.RLIMIT_AS, before)

        def transcoded():
            with gateway.view(camera.url(), allow_h265="false") as other:
                return other.wait_status() == 200
        wait_for(transcoded, 30, "the transcoder to be tried again", interval=0.3)
        viewer.wait_more(5)


def test_h264_camera_is_passed_through(shared_gateway, make_camera):
    camera = make_camera()
    with shared_gateway.view(camera.url(), allow_h265="false") as viewer:
        viewer.wait_frames(40)
    assert_decodable(viewer.flv, camera.video)
