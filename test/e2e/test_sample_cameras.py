"""The table: all 60 sample cameras through the gateway, each watched for 10 s; and HEVC over RTMP.

Cameras are watched in groups at once; what came is judged afterwards.  Pictures are judged twice: bit
for bit against the camera's loop, and decoded, by the counter in each of them.  Cameras of one size and
codec send the same pictures, so a stream is decoded once for all rows whose bytes are the same.
"""
import contextlib
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy
import pytest

from lib import ffmpeg, picture, tone
from lib.cameras import AUDIO_CODECS, DIMENSIONS, SIZES, VIDEO_CODECS
from lib.flv import FlvError
from lib.gateway import ROOT, Gateway
from lib.http import request
from lib.wait import wait_for

sys.path.insert(0, os.path.join(ROOT, "test", "cameras"))
import loops  # noqa: E402

LOOPS = os.environ.get("SAMPLE_LOOPS") or os.path.join(ROOT, "build", "cameras")
FPS, SECONDS = 25, 10
FRAMES = FPS * SECONDS + 5
SILENCE_S = 0.5  # at least, of join=live
GROUP = 20  # cameras watched at the same time
TRANSPORT = os.environ.get("SAMPLE_ROWS_TRANSPORT")  # of all RTSP rows
TRIES = 3  # GROUP cameras at a time lose datagrams and send late on a busy machine: then a row is watched again, alone


@dataclass(frozen=True)
class Row:
    protocol: str
    size: str
    video: str
    audio: str
    transport: str

    @property
    def name(self):
        return f"{self.size}-{self.video}-{self.audio}"

    def url(self, cameras):
        return cameras.rtmp_url(self.name) if self.protocol == "rtmp" else cameras.rtsp_url(self.name)

    @property
    def parameters(self):
        udp = {"cam_type": self.transport} if self.transport == "rtsp-udp" else {}
        return {"join": "gop", **udp}  # the camera's own pace and sound from the first picture on


def all_rows():
    """The 60, sizes mixed so that every group is about equally heavy; every other RTSP one over UDP, or as
    SAMPLE_ROWS_TRANSPORT says."""
    rows = []
    for a, audio in enumerate(AUDIO_CODECS):
        for v, video in enumerate(VIDEO_CODECS):
            for s, size in enumerate(SIZES):
                transport = TRANSPORT or ("rtsp-udp" if (a + v + s) % 2 else "rtsp-tcp")
                rows.append(Row("rtsp", size, video, audio, transport))
    for audio in ("AAC", "G711A", "G711U"):
        for size in SIZES:
            rows.append(Row("rtmp", size, "H264", audio, "rtmp"))
    return rows


pytestmark = pytest.mark.alone  # it fills all cores: pictures and UDP packets would be lost

ROWS = all_rows()
assert len(ROWS) == 60
ROWS += [Row("rtmp", "720p", "H265", audio, "rtmp") for audio in ("AAC", "G711A", "G711U")]


class Judge:
    """Watches a row's group when its first row is asked for; decodes in the background."""

    def __init__(self, cameras, directory):
        self.cameras, self.directory = cameras, directory
        self.recorded = {}
        self.api = {}  # what /api/streams said of a row
        self.pool = ThreadPoolExecutor(2)
        self.decoded = {}

    def again(self, row):
        """Watch one row alone."""
        self.record([row])
        return self.recorded[row]

    def recording(self, row):
        if row not in self.recorded:
            at = ROWS.index(row) // GROUP * GROUP
            self.record(ROWS[at:at + GROUP])
        return self.recorded[row]

    @staticmethod
    def described(gateway, row, url):
        """What the API says about a row's camera, once it has all of it."""
        def find():
            streams = [s for s in json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
                       if s["camera_url"] == url and s["cam_type"] == row.transport]
            return streams[0] if streams and streams[0]["audio_codec"] and streams[0]["width"] else None
        try:
            return wait_for(find, 20, f"the API to describe {row.name}", 0.2)
        except AssertionError as failure:
            return failure

    def record(self, rows):
        with Gateway(self.directory, log_level="info") as gateway:
            viewers = {}
            try:
                for row in rows:
                    viewers[row] = [gateway.view(row.url(self.cameras), **row.parameters)]
                    if row.video == "H265":
                        viewers[row].append(gateway.view(row.url(self.cameras), hevc="legacy", **row.parameters))
                for row in rows:
                    self.api[row] = self.described(gateway, row, row.url(self.cameras))
                for row in rows:
                    self.recorded[row] = [self.finish(viewer) for viewer in viewers[row]]
            finally:
                for some in viewers.values():
                    for viewer in some:
                        viewer.stop()
        for row in rows:
            if not isinstance(self.recorded[row][0], AssertionError):
                self.decode(row)

    def finish(self, viewer):
        """The reader with what the viewer got, or the failure, which belongs to its row alone."""
        try:
            viewer.wait_frames(FRAMES, 60)
            if viewer.flv.has_audio:
                viewer.wait(lambda v: v.flv.audio and v.flv.audio[-1].dts > v.flv.video[FRAMES - 1].dts - 500, 30,
                            "the audio to follow")
            viewer.close()
            return viewer.flv
        except AssertionError as failure:
            return failure

    def decode(self, row):
        """A future of (width, height, counters) for the row's pictures."""
        flv = self.recorded[row][0]
        data = flv.annex_b(flv.video[:FRAMES])
        key = hashlib.sha256(data).digest()
        if key not in self.decoded:
            codec = flv.video_configs[0].codec
            self.decoded[key] = self.pool.submit(decode_pictures, codec, data)
        return self.decoded[key]


def decode_pictures(codec, data):
    stream = ffmpeg.ffprobe_bytes(codec, data[:4 << 20])
    return stream["width"], stream["height"], [picture.read_counter(luma)
                                               for luma in ffmpeg.decode_video(codec, data, 160, 90)]


@pytest.fixture(scope="module")
def judge(sample_cameras, tmp_path_factory):
    judge = Judge(sample_cameras, tmp_path_factory.mktemp("rows"))
    yield judge
    judge.pool.shutdown()


@pytest.fixture(scope="module")
def loop_pictures():
    """The coded slices of each frame of a loop, in order."""
    cache = {}

    def get(size, video):
        if (size, video) not in cache:
            loop = loops.read_loop(os.path.join(LOOPS, f"{size}-{video}.loop"))
            cache[size, video] = [tuple(slices(data, video)) for data, _, _ in loop["frames"]]
        return cache[size, video]
    return get


def slices(data, video):
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        nal = data[at + 4:at + 4 + size]
        if (1 <= nal[0] & 0x1F <= 5) if video == "H264" else (nal[0] >> 1 & 0x3F) < 32:
            yield nal
        at += 4 + size


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.transport}-{r.name}")
def test_row(judge, loop_pictures, row):
    flvs = judge.recording(row)
    for _ in range(TRIES - 1):
        if not complain(judge, loop_pictures, row, flvs):
            return
        flvs = judge.again(row)
    judge_row(judge, loop_pictures, row, flvs)


def complain(*args):
    """What is wrong with a row, or None."""
    try:
        judge_row(*args)
    except (AssertionError, FlvError) as failure:
        print(f"once more, alone: {failure!s:.500}")
        return failure
    return None


# As /api/streams names what a camera sends, not what viewers get.
API_NAMES = {"H264": "H.264", "H265": "H.265", "AAC": "AAC", "G711A": "G.711 A-law", "G711U": "G.711 µ-law",
             "G722": "G.722", "G726": "G.726", "OPUS": "Opus"}


def judge_row(judge, loop_pictures, row, flvs):
    stream = judge.api[row]
    if isinstance(stream, AssertionError):
        raise stream
    assert (stream["video_codec"], stream["audio_codec"]) == (API_NAMES[row.video], API_NAMES[row.audio])
    assert (stream["width"], stream["height"], stream["frame_rate"]) == (*DIMENSIONS[row.size], FPS)
    for flv in flvs:
        if isinstance(flv, AssertionError):
            raise flv
        flv.check()
    flv = flvs[0]

    # Codec, dialects, audio.
    assert [c.dialect for f in flvs for c in f.video_configs] == (["avc"] if row.video == "H264"
                                                                  else ["enhanced", "legacy"])
    assert flv.has_audio and len(flv.audio_configs) == 1
    config = flv.audio_configs[0]
    source = loops.AUDIO[row.audio]
    assert config.object_type == 2 and config.channels == source[2]
    if row.audio == "AAC":
        assert config.record.hex() == loops.AAC_CONFIG  # passed through untouched

    # Rate and order.
    frames = flv.video[:FRAMES]
    assert (flv.metadata["width"], flv.metadata["height"]) == DIMENSIONS[row.size]
    assert flv.frame_rate() == pytest.approx(FPS, abs=0.3)
    assert all(0 <= frame.cts <= 200 for frame in frames)

    # No picture lost, repeated or damaged: bit for bit …
    loop = loop_pictures(row.size, row.video)
    for reader in flvs:
        got = [tuple(frame.pictures()) for frame in reader.video[:FRAMES]]
        assert got[0] in loop, "the first picture is not the camera's"
        first = loop.index(got[0])
        wrong = [n for n, p in enumerate(got) if p != loop[(first + n) % len(loop)]]
        assert not wrong, f"pictures {wrong[:10]} of {len(got)} are not what the camera sent"
    # … and decoded.
    width, height, counters = judge.decode(row).result()
    assert (width, height) == DIMENSIONS[row.size]
    assert len(counters) == len(frames)
    assert picture.is_consecutive(counters), picture.describe_breaks(counters)

    # The right tone, all the time, and in step with the pictures.
    samples = ffmpeg.decode_audio(flv.adts(), config.rate)
    assert len(samples) == 1024 * len(flv.audio)
    steps = numpy.diff([frame.dts for frame in flv.audio])
    assert numpy.all(numpy.abs(steps - 1024000 / config.rate) <= 2), "a gap in the audio's timestamps"
    settled = samples[int(0.3 * config.rate):]  # an encoder begins with silence
    assert not tone.find_gaps(settled, config.rate)
    heard = [hz for _, hz, _ in tone.tones_over_time(settled, config.rate)]
    odd = [hz for hz in heard if abs(hz - tone.TONE_HZ) > 20 and abs(hz - tone.BURST_HZ) > 40]
    assert numpy.median(heard) == pytest.approx(tone.TONE_HZ, abs=5)
    assert len(odd) <= len(heard) * 0.08, odd  # windows that a burst begins or ends in
    offsets = audio_offsets_ms(flv, samples, counters)
    assert max(map(abs, offsets)) <= 40, f"sound is late by {offsets} ms"


def audio_offsets_ms(flv, samples, counters):
    """How much later than its picture each burst sounds, by the time stamp of the audio frame that it begins in."""
    rate = flv.audio_configs[0].rate
    heard = []
    for onset, _ in tone.find_bursts(samples, rate):
        frame, within = divmod(round(onset * rate), 1024)
        heard.append(flv.audio[frame].dts + 1000 * within / rate)
    seen = [frame.pts for frame, counter in zip(flv.video, counters) if counter % (2 * FPS) == 0]
    inside = [t for t in seen if flv.audio[0].dts + 300 < t < flv.audio[-1].dts - 500]
    assert len(inside) >= 3 and len(heard) >= 3, (seen, heard)
    return [round(min((h - t for h in heard), key=abs), 1) for t in inside]


def test_sound_and_pictures_of_who_joins_later_are_in_step(sample_cameras, tmp_path):
    """join=live in a long GOP: what was cached is compressed in time, the sound before the edge is silence."""
    rows = [Row("rtsp", "720p", "H264", audio, "rtsp-tcp") for audio in ("AAC", "G711A")]
    later = Judge(sample_cameras, tmp_path)
    viewers = {}
    with Gateway(tmp_path) as gateway, contextlib.ExitStack() as stack:
        for row in rows:
            url = sample_cameras.rtsp_url(row.name, loop="longgop")
            stack.enter_context(gateway.view(url)).wait_frames(50)
            viewers[row] = stack.enter_context(gateway.view(url))
        later.recorded = {row: [later.finish(viewer)] for row, viewer in viewers.items()}
    for row in rows:
        flv = later.recorded[row][0]
        if isinstance(flv, AssertionError):
            raise flv
        flv.check()
        assert sum(b.dts - a.dts == 1 for a, b in zip(flv.video, flv.video[1:])) >= 15, "nothing was compressed"
        samples = ffmpeg.decode_audio(flv.adts(), flv.audio_configs[0].rate)
        assert not tone.find_gaps(samples[int(SILENCE_S * flv.audio_configs[0].rate):], flv.audio_configs[0].rate)
        offsets = audio_offsets_ms(flv, samples, later.decode(row).result()[2])
        assert max(map(abs, offsets)) <= 40, f"{row.name}: sound is late by {offsets} ms"
    later.pool.shutdown()


def test_sound_that_other_arguments_made_is_made_again(tmp_path):
    path = str(tmp_path / "G726.loop")
    frames = [(bytes(80), 0, True)]
    for codec, current in (("G726", True), ("G726-aal2", False), ("G726", True)):
        loops.write_loop(path, "G726", 8000, 160, "", frames, loops.made_by(codec))
        assert loops.is_current(path) == current
    loops.write_loop(path, "G726", 8000, 160, "", frames)  # as before files said so
    assert not loops.is_current(path)
