"""What one viewer gets: headers, first bytes, metadata, tracks, dialects, parameters of the request."""
import socket

import pytest

from lib import fake_rtsp
from lib.flv import FlvReader
from lib.http import encode, request
from lib.wait import wait_for

ORIGIN = "https://page.example"


def watch(gateway, camera, frames=30, audio=None, **kwargs):
    """A finished viewer that got so many frames, and audio beside them when the stream has it."""
    # Not join=live: that compresses the time of what was cached.
    with gateway.view(camera.url(), **{"join": "gop", **kwargs}) as viewer:
        viewer.wait_frames(frames)
        if viewer.flv.has_audio:
            viewer.wait(lambda v: len(v.flv.audio) >= 3, 30, "audio")
    viewer.flv.check()
    if audio is not None:
        assert viewer.flv.has_audio is audio
    return viewer


def assert_same_pictures(frames, media):
    """Each frame is the next picture of the camera's loop, bit for bit."""
    loop = media.slices()
    got = [frame.pictures() for frame in frames]
    assert all(len(p) == 1 for p in got)
    first = loop.index(got[0][0])
    for n, picture in enumerate(got):
        assert picture[0] == loop[(first + n) % len(loop)], f"frame {n} is not the one after frame {n - 1}"


def test_response_head(shared_gateway, h264_camera):
    viewer = watch(shared_gateway, h264_camera)
    headers = viewer.headers
    assert headers["content-type"] == "video/x-flv"
    assert headers["cache-control"] == "no-store"
    assert headers["connection"] == "close"
    assert headers["access-control-allow-origin"] == "*"
    for name in ("accept-ranges", "content-range", "content-length", "transfer-encoding", "icy-metaint"):
        assert name not in headers, name


def test_origin_is_echoed(shared_gateway, h264_camera):
    viewer = watch(shared_gateway, h264_camera, frames=1, headers={"Origin": ORIGIN})
    assert viewer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in viewer.headers["vary"].lower()


def test_range_and_icy_are_ignored(shared_gateway, h264_camera):
    viewer = watch(shared_gateway, h264_camera, frames=1, headers={"Range": "bytes=0-", "Icy-MetaData": "1"})
    assert viewer.status == 200
    assert not {"accept-ranges", "content-range", "icy-metaint"} & set(viewer.headers)


def test_head(shared_gateway, h264_camera):
    answer = shared_gateway.get(h264_camera.url(), method="HEAD")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "video/x-flv", b"")


def test_flv_over_http_1_0(shared_gateway, h264_camera):
    """A player that speaks HTTP/1.0 gets the same bytes: never chunked."""
    with socket.create_connection(("127.0.0.1", shared_gateway.flv_port), timeout=60) as sock:
        sock.sendall(f"GET /?cam_url={encode(h264_camera.url())} HTTP/1.0\r\n\r\n".encode())
        chunks = iter(lambda: sock.recv(65536), b"")
        data = b""
        while b"\r\n\r\n" not in data:
            data += next(chunks)
        head, _, body = data.partition(b"\r\n\r\n")
        assert b" 200 " in head[:16] and b"chunked" not in head.lower(), head
        reader = FlvReader()
        reader.feed(body)
        while len(reader.video) < 5:
            reader.feed(next(chunks))


def test_h264_stream(shared_gateway, h264_camera):
    flv = watch(shared_gateway, h264_camera, frames=60, audio=True).flv
    assert [c.dialect for c in flv.video_configs] == ["avc"]
    assert flv.video_configs[0].parameter_sets == h264_camera.video.parameter_sets
    assert_same_pictures(flv.video, h264_camera.video)
    assert abs(flv.frame_rate() - 25) < 0.5
    config = flv.audio_configs[0]
    assert (config.object_type, len(config.record), config.channels) == (2, 2, 1)


def test_first_bytes(shared_gateway, h264_camera):
    flv = watch(shared_gateway, h264_camera).flv
    assert flv.order[0] == ("script", 0)
    assert {kind for kind, _ in flv.order[1:3]} == {"video-config", "audio-config"}
    assert flv.order[3][0] == "video" and flv.video[0].key
    # Each connection starts near 0, both tracks on one clock.
    assert flv.video[0].dts < 1000 and flv.audio[0].dts < 1500


def test_metadata(shared_gateway, h264_camera):
    flv = watch(shared_gateway, h264_camera).flv
    metadata = flv.metadata
    assert (metadata["width"], metadata["height"]) == (320, 180)
    assert metadata["videocodecid"] == 7 and metadata["audiocodecid"] == 10
    assert metadata["hasVideo"] is True and metadata["hasAudio"] is True
    assert metadata.get("duration", 0) == 0
    if "framerate" in metadata:
        assert metadata["framerate"] == pytest.approx(25, abs=0.1)
    assert metadata["audiosamplerate"] == flv.audio_configs[0].rate
    assert metadata["stereo"] is False


def test_audio_none(shared_gateway, h264_camera):
    with shared_gateway.view(h264_camera.url(), audio="none") as viewer:
        viewer.wait_frames(40)
    flv = viewer.flv
    flv.check()
    assert flv.has_audio is False and not flv.audio and not flv.audio_configs
    assert flv.metadata["hasAudio"] is False and flv.metadata["hasVideo"] is True
    assert "audiocodecid" not in flv.metadata


def test_camera_without_audio(shared_gateway, make_camera):
    camera = make_camera(audio=False)
    flv = watch(shared_gateway, camera, audio=False).flv
    assert flv.has_video and not flv.audio_configs
    assert flv.metadata["hasAudio"] is False


@pytest.mark.parametrize("parameters,dialect,codec_id", [
    ({}, "enhanced", 0x68766331), ({"hevc": "enhanced"}, "enhanced", 0x68766331), ({"hevc": "legacy"}, "legacy", 12)])
def test_hevc_dialects(shared_gateway, hevc_camera, parameters, dialect, codec_id):
    with shared_gateway.view(hevc_camera.url(), **parameters) as viewer:
        viewer.wait_frames(40)
    flv = viewer.flv
    flv.check()
    assert [c.dialect for c in flv.video_configs] == [dialect]
    assert sorted(flv.video_configs[0].parameter_sets) == sorted(hevc_camera.video.parameter_sets)
    assert flv.metadata["videocodecid"] == codec_id
    assert_same_pictures(flv.video, hevc_camera.video)


def test_dialects_share_one_worker(gateway, hevc_camera):
    """How a viewer wants it is the viewer's affair: no second connection to the camera."""
    with gateway.view(hevc_camera.url()) as a, gateway.view(hevc_camera.url(), hevc="legacy") as b, \
            gateway.view(hevc_camera.url(), audio="none") as c:
        for viewer in (a, b, c):
            viewer.wait_frames(20)
        assert len(gateway.worker_of(hevc_camera.port)) == 1
        assert hevc_camera.open_connections() == 1
    for viewer in (a, b, c):
        viewer.flv.check()


@pytest.mark.parametrize("path", ["/live.flv", "/any/deep/path.flv", "/.flv"])
def test_flv_suffix(shared_gateway, h264_camera, path):
    watch(shared_gateway, h264_camera, frames=5, path=path)


def test_raw_url(shared_gateway, h264_camera):
    watch(shared_gateway, h264_camera, frames=5, raw=True)


def test_flv_suffix_of_the_camera_url(shared_gateway, h264_camera):
    """jessibuca wants .flv at the end of the whole address; the camera does not know it."""
    with shared_gateway.view(h264_camera.url() + ".flv") as viewer:
        viewer.wait_frames(2)
    assert h264_camera.requests[-1][1].startswith("/cam") and ".flv" not in h264_camera.requests[-1][1]


def test_raw_url_with_query_and_our_parameters(shared_gateway, make_camera):
    camera = make_camera()
    target = f"/?cam_url={camera.url('/cam/realmonitor?channel=1&subtype=0')}&audio=none"
    from lib.http import Viewer
    with Viewer(shared_gateway.flv_port, target) as viewer:
        viewer.wait_frames(2)
    assert viewer.flv.has_audio is False
    described = [path for method, path, _ in camera.requests if method == "DESCRIBE"]
    assert described == ["/cam/realmonitor?channel=1&subtype=0"]


PASSWORDS = ["plain42", "p@ss#1", "a/b?c", "x:y&z=1", "50%off", "sp+ace"]
# Raw, a valid %XX stands for its byte, and HTTP takes ASCII only: these need encoding.
ENCODED_PASSWORDS = ["per%41cent", "é-ü"]


@pytest.mark.parametrize("auth", ["digest", "basic"])
@pytest.mark.parametrize("password,raw", [(p, False) for p in PASSWORDS + ENCODED_PASSWORDS]
                         + [(p, True) for p in PASSWORDS])
def test_passwords(shared_gateway, make_camera, password, raw, auth):
    shared_gateway.secrets.append(password)
    camera = make_camera(user="admin", password=password, auth=auth)
    login = password.replace("%41", "%2541")
    with shared_gateway.view(camera.url(user="admin", password=login), raw=raw) as viewer:
        viewer.wait_frames(2)
    assert camera.plays == 1


def test_basic_password_percent_encoded_in_the_url(shared_gateway, make_camera):
    """The form that other players want: rtsp://admin:p%40ss%231@…"""
    camera = make_camera(user="admin", password="p@ss#1")
    with shared_gateway.view(camera.url(user="admin", password="p%40ss%231")) as viewer:
        viewer.wait_frames(2)


def test_camera_named_in_the_configuration(make_gateway, camera):
    gateway = make_gateway(f'[camera "front-door"]\nurl = {camera.url(user="admin", password="sesame-42")}\n',
                           secrets=["sesame-42"])
    from lib.http import Viewer
    with Viewer(gateway.flv_port, "/?cam=front-door") as viewer:
        viewer.wait_frames(5)
    assert request(gateway.flv_port, "/?cam=back-door").code == "unknown_camera"


def test_viewer_of_a_running_camera_starts_at_the_cached_key_frame(shared_gateway, make_camera):
    """join=gop, which view() asks for: the second viewer waits for no key frame."""
    camera = make_camera(fake_rtsp.media("h264", seconds=20, gop=500))  # one key frame in 20 s
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(50)
        with shared_gateway.view(camera.url()) as second:
            second.wait_frames(60, deadline=15)
            wait_for(lambda: len(first.flv.video) >= 100, 30, "the first viewer to go on")
    for viewer in (first, second):
        viewer.flv.check()
        assert_same_pictures(viewer.flv.video, camera.video)
    assert first.flv.video[0].data == second.flv.video[0].data


def test_audio_and_video_share_a_clock(shared_gateway, h264_camera):
    flv = watch(shared_gateway, h264_camera, frames=100).flv
    assert abs(flv.video[-1].dts - flv.audio[-1].dts) < 500
    frame_ms = 1024000 / flv.audio_configs[0].rate
    first = flv.audio[0].dts
    for n, frame in enumerate(flv.audio):  # no gap, no drift, no rounding that adds up
        assert abs(frame.dts - first - n * frame_ms) <= 1, n


def test_join_live_catches_up_at_once(shared_gateway, make_camera):
    """What was cached comes at once, its time compressed: the newest picture is reached within a moment."""
    camera = make_camera(fake_rtsp.media("h264", seconds=20, gop=500))
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(75)
        with shared_gateway.view(camera.url(), join="live") as second:
            second.wait_frames(100)
    flv = second.flv
    flv.check()
    assert_same_pictures(flv.video, camera.video)
    steps = [b.dts - a.dts for a, b in zip(flv.video, flv.video[1:])]
    assert sum(steps[:70]) < 1000 and steps[-10:] == [40] * 10, steps


def test_join_live_has_sound_in_hand_at_once(shared_gateway, make_camera):
    """Players wait for 0.3 s of sound: it is silence, sent right after the key frame; the camera's sound goes on where
    it ends."""
    camera = make_camera(fake_rtsp.media("h264", seconds=20, gop=500))
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(75)
        with shared_gateway.view(camera.url(), join="live") as second:
            second.wait_frames(130)
    audio = second.flv.audio
    silent = next(n for n, frame in enumerate(audio) if len(frame.data) > 4)
    second.flv.check()
    order = [kind for kind, _ in second.flv.order if kind in ("video", "audio")]
    assert order[:silent + 2] == ["video"] + ["audio"] * silent + ["video"]
    assert {frame.data for frame in audio[:silent]} == {b"\0\0\0\7"}  # one channel, no spectral data
    frame_ms = 1024000 / second.flv.audio_configs[0].rate
    assert audio[0].dts < frame_ms and 400 <= audio[silent].dts < 450
    steps = [b.dts - a.dts for a, b in zip(audio, audio[1:])]
    assert max(steps) < frame_ms + 2 and min(steps) > frame_ms - 2, steps


def test_join_key_waits_for_the_next_key_frame(shared_gateway, make_camera):
    camera = make_camera(fake_rtsp.media("h264", seconds=8, gop=100))
    with shared_gateway.view(camera.url()) as first:
        first.wait_frames(30)
        seen = {frame.data for frame in first.flv.video}
        with shared_gateway.view(camera.url(), join="key") as second:
            second.wait_frames(10)
    second.flv.check()
    assert not seen & {frame.data for frame in second.flv.video}
