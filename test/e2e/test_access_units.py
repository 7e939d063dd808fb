"""Pictures as cameras and servers really send them: in several slices, with parameter sets between these, in one message
or many, beside other payload types, with losses; and streams that hardly ever say where decoding may start.

Every picture that a viewer gets is decoded and its counter read: a picture put together wrongly has none.
"""
import base64
import os
import re
import struct
import subprocess
import time

import pytest

from conftest import QUICK
from lib import browser as browser_module
from lib import gst_server
from lib.fake_rtmp import PlayingRtmp
from lib.gst_server import GstServer
from lib.picture import decode_counters, describe_breaks, is_consecutive, read_counter
from lib.player_page import PlayerPage, library_missing
from lib.scripted_rtsp import Script, ScriptedCamera
from lib.sliced import flv_file, is_slice, sliced_media
from lib.snapshot import MjpegViewer, ask, counter_of, counters_of_frames, snapshot
from lib.wait import wait_for

needs_gst = pytest.mark.skipif(gst_server.missing() is not None, reason=gst_server.missing() or "")
needs_browser = pytest.mark.skipif(not os.path.exists(browser_module.DRIVER), reason="no chromedriver")
PERIOD = gst_server.FRAMES


@pytest.fixture(scope="module")
def gst_frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    gst_server.draw_frames(folder)
    return folder


def watch(gateway, url, frames=60):
    """-> the FlvReader of a viewer, with so many frames."""
    with gateway.view(url) as viewer:
        viewer.wait_frames(frames)
    return viewer.flv


def assert_whole(gateway, url, frames=60):
    """Every picture of a viewer, one of MJPEG and a snapshot are whole, and none counts as damaged."""
    flv = watch(gateway, url, frames)
    flv.check()
    counters = counters_of_frames(flv)
    in_order = [c for _, c in sorted(zip((f.pts for f in flv.video), counters))]
    assert is_consecutive(in_order, PERIOD), describe_breaks(in_order, PERIOD)
    answer = snapshot(gateway, url)
    assert answer.status == 200, answer.body
    assert counter_of(answer) is not None
    with MjpegViewer(gateway, url, fps=5) as viewer:
        wait_for(lambda: len(viewer.parts) >= 2, 30, "two pictures of MJPEG")
    assert viewer.status == 200
    metrics = ask(gateway.snapshot_port, "/metrics").body.decode()
    damaged = [line for line in metrics.splitlines() if "damaged_frames_total{" in line]
    assert damaged and all(line.endswith(" 0") for line in damaged), damaged
    return flv


# --- GStreamer's server with its users' lines -----------------------------------------------------

X264 = "x264enc tune=zerolatency key-int-max=25 bitrate=1500 threads=4 sliced-threads=true"
X265 = "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=1000 option-string=slices=4:pools=1:frame-threads=1"
LINES = {
    "the usual line": f"{X264} ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "parameter sets every second": f"{X264} ! rtph264pay name=pay0 pt=96 config-interval=1",
    "aggregates": f"{X264} ! rtph264pay name=pay0 pt=96 config-interval=-1 aggregate-mode=zero-latency",
    "the usual line of x265": f"{X265} ! rtph265pay name=pay0 pt=96 config-interval=-1",
    "x265 in aggregates": f"{X265} ! rtph265pay name=pay0 pt=96 config-interval=-1 aggregate-mode=max",
    "error correction": f"{X264} ! rtph264pay pt=96 config-interval=-1 ! rtpulpfecenc pt=122 percentage=50 name=pay0",
    # RFC 5109 section 14.1; the description says H.264 all the same.
    "error correction in RED": f"{X264} ! rtph264pay pt=96 config-interval=-1 ! rtpulpfecenc pt=122 percentage=50 ! "
                               "rtpredenc pt=123 allow-no-red-blocks=true name=pay0",
}


@needs_gst
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_gstreamer(gateway, gst_frames, line):
    with GstServer(gst_frames, line) as server:
        assert_whole(gateway, server.url)


@needs_gst
@needs_browser
@pytest.mark.skipif(bool(library_missing("mpegts.js")), reason="mpegts.js is missing")
def test_gstreamer_in_chromium(gateway, gst_frames):
    with GstServer(gst_frames, LINES["the usual line"]) as server, browser_module.Browser() as browser, \
            PlayerPage(browser, "mpegts.js") as page:
        page.play(gateway.url(server.url), (3000, 3500, 4000, 4500, 5000), enableStashBuffer=False)
        counters = [read_counter(grey) for _, grey in page.wait_looks(5)]
        assert page.errors() == []
        assert counters.count(None) <= 1, counters  # one may be taken while it is drawn


# --- messages of RTMP -----------------------------------------------------------------------------

@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("step_ms", [0, 1], ids=["one stamp", "stamps a tick apart"])
def test_rtmp_with_a_message_for_each_nal_unit(gateway, slices, step_ms):
    """DJI Mini 3 Pro, M300 and some restreamers."""
    media = sliced_media(slices=slices)
    with PlayingRtmp(flv_file(media, per_nal=True, step_ms=step_ms)) as camera:
        assert_whole(gateway, f"rtmp://127.0.0.1:{camera.port}/live/camera")


def test_rtmp_pictures_come_when_their_message_does(gateway):
    """The frame before is not waited for the next one: whoever sends a picture a second must not be a second late."""
    media = sliced_media(slices=1)
    sent = []

    class Slow(PlayingRtmp):
        def answer(self, peer, transaction):
            class Timed:
                def sendall(self, data):
                    sent.append(time.monotonic())
                    peer.sendall(data)

                def recv(self, count):
                    return peer.recv(count)
            super().answer(Timed(), transaction)
    flv = flv_file(media, rounds=1)
    with Slow(flv) as camera, gateway.view(f"rtmp://127.0.0.1:{camera.port}/live/camera") as viewer:
        viewer.wait_frames(30)
    arrivals = [frame.received for frame in viewer.flv.video]
    late = [min((at - s for s in sent if s <= at), default=1) for at in arrivals[5:]]
    assert sorted(late)[len(late) // 2] < 0.02, late  # half a frame interval


# --- RTP ------------------------------------------------------------------------------------------

class Sliced(Script):
    speed = 1
    audio = False

    def __init__(self, **how):
        super().__init__(sliced_media(**how))


class StampedSlices(Sliced):
    """Each slice of a picture has a timestamp of its own."""

    def datagrams(self, session, track, packets):
        out, step = [], -1
        for p in packets:
            step += not (p[12] & 31 == 28 and not p[13] & 0x80)
            out.append(p[:4] + struct.pack(">I", struct.unpack(">I", p[4:8])[0] + step) + p[8:])
        return out


class RepeatedSets(Sliced):
    """Parameter sets before each slice of a key frame, all with one timestamp."""

    def nals(self, index):
        unit = self.video.units[index]
        if not self.video.is_key(unit):
            return unit
        sets = self.video.parameter_sets
        return [n for nal in unit if nal not in sets
                for n in ([*sets, nal] if is_slice(self.video.codec, nal) else [nal])]


class SsrcOfEachGop(Sliced):
    """Uniview: another SSRC with every GOP."""
    restart_numbers = False
    gop = base = 0

    def datagrams(self, session, track, packets):
        out = []
        for p in packets:
            number = struct.unpack(">H", p[2:4])[0]
            if p[12] & 31 == 7:
                self.gop, self.base = self.gop + 1, number if self.restart_numbers else 0
            out.append(p[:2] + struct.pack(">H", number - self.base & 0xFFFF) + p[4:8] +
                       struct.pack(">I", 0x1000 + self.gop) + p[12:])
        return out


class SsrcAndNumbersOfEachGop(SsrcOfEachGop):
    restart_numbers = True


class Retransmissions(Sliced):
    """Each packet a second time, as RTX (RFC 4588) on the same channel."""
    described = True

    def video_sdp(self):
        more = ["a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"] if self.described else []
        return [f"m=video 0 RTP/AVP 96{' 97' if self.described else ''}", "a=rtpmap:96 H264/90000", *more,
                "a=control:trackID=1"]

    def datagrams(self, session, track, packets):
        return [q for p in packets for q in (
            p, p[:1] + bytes([p[1] & 0x80 | 97]) + p[2:8] + b"\0\0\0\7" + p[2:4] + p[12:])]


class UndescribedRetransmissions(Retransmissions):
    described = False


class LosesBeforeKeyFrames(Sliced):
    """The last packet before each key frame never comes."""

    def datagrams(self, session, track, packets):
        self.sent = getattr(self, "sent", 0) + 1
        return packets[:-1] if self.sent % 25 == 0 else packets


@pytest.mark.parametrize("camera_type", [None, "rtsp-udp"], ids=["tcp", "udp"])
@pytest.mark.parametrize("script", [
    (StampedSlices, {}), (RepeatedSets, {}), (RepeatedSets, {"codec": "hevc"}), (SsrcOfEachGop, {}),
    (SsrcAndNumbersOfEachGop, {}), (Retransmissions, {}), (UndescribedRetransmissions, {})],
    ids=lambda s: s[0].__name__ + s[1].get("codec", ""))
def test_rtp(gateway, script, camera_type):
    kind, how = script
    with ScriptedCamera(kind(**how)) as camera:
        url = camera.url()
        if camera_type is None:
            assert_whole(gateway, url)
        else:
            with gateway.view(url, cam_type=camera_type) as viewer:
                viewer.wait_frames(60)
            counters = counters_of_frames(viewer.flv)
            assert is_consecutive(counters, PERIOD), describe_breaks(counters, PERIOD)
            assert counter_of(snapshot(gateway, url, cam_type=camera_type)) is not None


def test_loss_before_a_key_frame(gateway):
    """A key frame that is whole is whole: only what followed the loss is damaged, and here that is nothing."""
    with ScriptedCamera(LosesBeforeKeyFrames()) as camera, gateway.view(camera.url()) as viewer:
        viewer.wait_frames(60)
        for _ in range(3):
            answer = snapshot(gateway, camera.url())
            assert answer.status == 200, answer.body
            assert counter_of(answer) is not None
        answer = gateway.view(camera.url(), allow_h265="false")
        with answer as again:
            again.wait_frames(10)


def test_first_key_frame_that_loses_a_packet(gateway):
    """The next one is waited for, a second here: nobody begins with half a picture."""
    class Cut(Sliced):
        cut = False

        def datagrams(self, session, track, packets):
            kept, self.cut = packets if self.cut else packets[:-3] + packets[-2:], True
            return kept
    with ScriptedCamera(Cut(slices=1)) as camera, gateway.view(camera.url(), cam_type="rtsp-udp") as viewer:
        viewer.wait_frames(25)
    counters = counters_of_frames(viewer.flv)
    assert is_consecutive(counters, PERIOD), describe_breaks(counters, PERIOD)


class Torn(Sliced):
    """Over UDP, a packet within a slice of a P picture and one of a key frame are lost."""
    mtu = 300
    cuts = (30, 50)  # pictures; each 25th is a key frame
    sent = -1

    def __init__(self, **how):
        super().__init__(gop=25, **how)

    def datagrams(self, session, track, packets):
        self.sent += 1
        if self.sent not in self.cuts:
            return packets
        fragments = [i for i, p in enumerate(packets) if p[12] & 31 == 28 and not p[13] & 0xC0]
        lost = fragments[len(fragments) // 2]
        return packets[:lost] + packets[lost + 1:]


def assert_strict(flv):
    """Every slice can be decoded to its end: at an error Chromium's decoder ends."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-err_detect", "explode", "-threads", "1", "-f", "h264", "-i", "-",
                           "-f", "null", "-"], input=flv.annex_b(), capture_output=True, check=True, timeout=60)
    assert b"error while decoding" not in done.stderr.lower(), done.stderr


def torn_frames(gateway):
    metrics = ask(gateway.snapshot_port, "/metrics").body.decode()
    return int(re.search(r"^cam_httpflv_torn_frames_total (\d+)", metrics, re.MULTILINE).group(1))


@pytest.mark.parametrize("slices", [1, 4])
def test_packets_lost_within_slices(gateway, slices):
    """No slice that lacks a part is sent; who joins after a key frame was torn begins with the whole one before."""
    script = Torn(slices=slices)
    with ScriptedCamera(script) as camera, gateway.view(camera.url(), cam_type="rtsp-udp") as viewer:
        wait_for(lambda: script.sent > Torn.cuts[-1] + 1, 30, "the torn key frame")
        with gateway.view(camera.url(), cam_type="rtsp-udp") as second:
            second.wait_frames(40)
        viewer.wait_frames(80)
        wait_for(lambda: torn_frames(gateway) == (2 if slices == 1 else 0), 30, "the metric")
    for flv in (viewer.flv, second.flv):
        flv.check()
        assert_strict(flv)


@needs_browser
@pytest.mark.skipif(bool(library_missing("mpegts.js")), reason="mpegts.js is missing")
def test_packets_lost_within_slices_in_chromium(gateway):
    with ScriptedCamera(Torn(slices=1)) as camera, browser_module.Browser() as browser, \
            PlayerPage(browser, "mpegts.js") as page:
        page.play(gateway.url(camera.url(), cam_type="rtsp-udp"), (5000, 5400, 5800), enableStashBuffer=False)
        counters = [read_counter(grey) for _, grey in page.wait_looks(3)]
        assert page.errors() == []
        assert counters.count(None) <= 1, counters  # one may be taken while it is drawn


# --- where a stream starts ------------------------------------------------------------------------

REFRESH = "intra-refresh=1:bframes=0"
# An open GOP: its I pictures are no IDR pictures.
OPEN_GOP = "open-gop=1:bframes=1:b-adapt=0"


class NeverIdr(Sliced):
    """I pictures without IDR and recovery point; begun in the middle."""
    sets_in_band = False

    def __init__(self):
        super().__init__(slices=1, more=OPEN_GOP)
        self.first_intra = next(i for i in range(1, 26) if self.video.is_intra(self.video.units[i]))

    def video_sdp(self):
        sets = ",".join(base64.b64encode(nal).decode() for nal in self.video.parameter_sets[:2])
        return ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000",
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}", "a=control:trackID=1"]

    def frames(self):
        yield from range(26, len(self.video.units))  # not the first picture, which is IDR
        while True:
            yield from range(self.first_intra, len(self.video.units))

    def nals(self, index):
        unit = self.video.units[index]
        sets = self.video.parameter_sets[:2] if self.sets_in_band and self.video.is_intra(unit) else []
        return [*sets, *(nal for nal in unit if is_slice("h264", nal))]


class NeverIdrSetsInBand(NeverIdr):
    sets_in_band = True


@pytest.mark.parametrize("script", [NeverIdr, NeverIdrSetsInBand])
def test_intra_pictures_without_idr(make_gateway, script):
    gateway = make_gateway()
    with ScriptedCamera(script()) as camera:
        flv = watch(gateway, camera.url())
        counters = decode_counters("-", input_options=("-f", "h264"), data=flv.annex_b())
        # From the first I picture to the end of the loop; then others, in the order that the decoder makes of stamps
        # that begin anew.
        assert counters[:50] == list(range(50, 100)) and None not in counters, counters
        answer = snapshot(gateway, camera.url())
        assert answer.status == 200 and counter_of(answer) is not None, answer.body


def test_key_flag_of_flv(make_gateway):
    media = sliced_media(slices=1, more=OPEN_GOP)
    bare = type(media)("h264", [n for unit in media.units for n in unit if is_slice("h264", n)])
    bare.parameter_sets, bare.units = media.parameter_sets, bare.units[26:]  # without the IDR picture
    flv = flv_file(bare, rounds=4, key_flag=bare.is_intra)
    gateway = make_gateway()
    with PlayingRtmp(flv) as camera:
        url = f"rtmp://127.0.0.1:{camera.port}/live/camera"
        with gateway.view(url) as viewer:
            begun = time.monotonic()
            viewer.wait_frames(30)
            assert time.monotonic() - begun < 5
            answer = snapshot(gateway, url)
            assert answer.status == 200 and counter_of(answer) is not None, answer.body


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_periodic_intra_refresh(make_gateway, codec):
    """Joined in the middle.  The snapshot waits until the picture is whole."""
    class Refresh(Sliced):
        def frames(self):
            n = 5
            while True:  # the loop's IDR picture is left out
                yield n
                n = n % (len(self.video.units) - 1) + 1
    gateway = make_gateway("[camera]\nconnect_timeout_ms = 12000\n")
    with ScriptedCamera(Refresh(codec=codec, slices=1, gop=20, frames=400, more=REFRESH)) as camera:
        with gateway.view(camera.url()) as viewer:
            viewer.wait_frames(10)
            answer = snapshot(gateway, camera.url())
            assert answer.status == 200, answer.body
            assert counter_of(answer) is not None


def test_quick_answers_stay_quick(make_gateway):
    """The usual camera starts with its first key frame."""
    gateway = make_gateway(QUICK)
    with ScriptedCamera(Sliced()) as camera, gateway.view(camera.url()) as viewer:
        begun = time.monotonic()
        viewer.wait_frames(1)
        assert time.monotonic() - begun < 3
