"""Cameras whose clocks run wrong, stop, step or burst: what viewers get stays in real time, picture beside sound."""
import contextlib
import struct
import subprocess
import threading
import time

import pytest

from lib import fake_rtsp, tone
from lib.fake_rtmp import MEDIA_STREAM, PlayingRtmp, flv_tags, message
from lib.http import request
from lib.scripted_rtsp import ScriptedCamera, Script

LIVE = "[camera]\nidle_timeout_ms = 3000\n"
DRIFT_SECONDS = 120  # as many as the issue asks for; the four cameras play at the same time
ACQUIRED_S = 5
NTP_EPOCH = 2208988800
TONE = (b"\xaa" * 10 + b"\x2a" * 10) * 8  # 400 Hz in A-law, 20 ms


class Drifting(Script):
    """Stamps of the nominal rates, sent at others: video and audio are stamped seconds per real second."""

    def __init__(self, video=1.0, audio=1.0, reports=False):
        super().__init__(fake_rtsp.media("h264", seconds=4, gop=50))
        self.speed, self.audio_speed, self.reports = video, audio, reports
        self.pictures = self.sounds = 0
        self.reported = {}
        self.begun = time.time()

    def audio_stamp(self, packet):
        return packet * 160

    def datagrams(self, session, track, packets):
        if track == "video":
            return packets
        self.pictures += 1
        due = self.pictures / fake_rtsp.FPS / self.speed * self.audio_speed * 50  # packets of 20 ms
        result = []
        while self.sounds < due:
            result.append(struct.pack(">BBHII", 0x80, 8, self.sounds & 0xFFFF, self.audio_stamp(self.sounds)
                                      & 0xFFFFFFFF, 5) + TONE)
            self.sounds += 1
        return result

    def wrap(self, session, track, packet):
        sent = super().wrap(session, track, packet)
        now = time.time()
        if self.reports and now - self.reported.get(track, 0) > 2:
            self.reported[track] = now
            stamp, ssrc = struct.unpack(">II", packet[4:12])
            ntp = now + NTP_EPOCH
            report = struct.pack(">BBHIIIIII", 0x80, 200, 6, ssrc, int(ntp), int(ntp % 1 * 2**32), stamp, 1, 1)
            sent += struct.pack(">BBH", 0x24, session.channels[track] + 1, len(report)) + report
        return sent


def leads(frames, started):
    """Per second of arrival: how far the earliest frame's time is ahead of its arrival, seconds."""
    best = {}
    for frame in frames:
        second = int(frame.received - started)
        best[second] = max(best.get(second, -1e9), frame.dts / 1000 - (frame.received - started))
    return best


def spread(values):
    return max(values) - min(values)


def assert_in_time(viewer, seconds, limit=0.2, acquired_s=ACQUIRED_S):
    """Output and arrival stay together, and picture and sound, once the clocks have been seen through."""
    video, audio = leads(viewer.flv.video, viewer.started), leads(viewer.flv.audio, viewer.started)
    steady = range(acquired_s, seconds - 1)
    assert all(s in video and s in audio for s in steady), "seconds without picture or sound"
    apart = [video[s] - audio[s] for s in steady]
    found = (f"output to arrival: video {spread([video[s] for s in steady]):.3f}, audio "
             f"{spread([audio[s] for s in steady]):.3f} s; picture to sound {min(apart):.3f} to {max(apart):.3f} s")
    print(found)
    assert spread([video[s] for s in steady]) < limit, found
    assert spread([audio[s] for s in steady]) < limit, found
    assert max(abs(a) for a in apart) < limit + 0.1, found  # the encoder holds 0.1 s of sound
    return video


def assert_no_jumps(viewer, least_ms=5, most_ms=200):
    late = [f for f in viewer.flv.video if f.received - viewer.started > ACQUIRED_S]
    steps = [b.dts - a.dts for a, b in zip(late, late[1:])]
    assert min(steps) >= least_ms and max(steps) <= most_ms, (min(steps), max(steps))
    sounds = [f for f in viewer.flv.audio if f.received - viewer.started > ACQUIRED_S]
    gaps = [b.dts - a.dts for a, b in zip(sounds, sounds[1:])]
    frame_ms = 1024000 / sounds[0].config.rate
    assert min(gaps) >= frame_ms - 2 and max(gaps) <= frame_ms + 2, (min(gaps), max(gaps))


def assert_heard(viewer, path):
    """The camera's tone in every second of the second half."""
    path.write_bytes(bytes(viewer.data))
    pcm = tone.decode_pcm(str(path), rate=8000)[:, 0]
    half = len(pcm) // 2 // 8000
    for second in range(half, len(pcm) // 8000 - 1):
        chunk = pcm[second * 8000:(second + 1) * 8000]
        loud = sum(abs(float(s)) > 0.05 for s in chunk)
        assert loud > 4000, f"second {second}: {loud} of 8000 samples are loud"


def metric(gateway, name):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


DRIFTS = {
    "sound 5 % slow": dict(audio=0.95),
    "sound 10 % slow": dict(audio=0.9),
    "sound 0.1 % fast": dict(audio=1.001),
    "21 pictures a second stamped as 25": dict(video=21 / 25),
    "31 pictures a second stamped as 25": dict(video=31 / 25),
    "21 stamped as 25, right sender reports": dict(video=21 / 25, reports=True),
    "pictures 25 % fast, right sender reports": dict(video=5 / 4, reports=True),
    "half as many pictures as stamped": dict(video=1 / 2),
    "sound half as fast again": dict(audio=3 / 2),
}


def test_clocks_that_drift(make_gateway, tmp_path):
    """Two minutes of nine cameras at once: -50, -10, +0.1 and +25 % are among their clocks."""
    gateway = make_gateway(LIVE)
    failures = {}

    def watch(number, name, drift):
        try:
            with ScriptedCamera(Drifting(**drift)) as camera:
                with gateway.view(camera.url(), keep_bytes=True) as viewer:
                    viewer.wait(lambda v: time.monotonic() - v.started > DRIFT_SECONDS, DRIFT_SECONDS + 60, "time")
                print(name)
                assert_in_time(viewer, DRIFT_SECONDS)
                assert_no_jumps(viewer)
                assert_heard(viewer, tmp_path / f"{number}.flv")
        except BaseException as failure:  # pylint: disable=broad-except
            failures[name] = failure

    threads = [threading.Thread(target=watch, args=(n, *item)) for n, item in enumerate(DRIFTS.items())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert metric(gateway, "cam_httpflv_skipped_frames_total") == 0


@pytest.mark.parametrize("reports", ["sent", "none"])
def test_a_camera_without_sender_reports(shared_gateway, sample_cameras, reports):
    """GStreamer as the camera, all of it 5 % slow, with and without reports."""
    url = sample_cameras.rtsp_url("720p-H264-G711A", audio_ppm=-50000, reports=reports)
    with shared_gateway.view(url) as viewer:
        viewer.wait(lambda v: time.monotonic() - v.started > 30, 90, "30 s")
    assert_in_time(viewer, 30)
    assert_no_jumps(viewer)


class SteppingBack(Drifting):
    """Stamps that step back again and again: by back seconds after every so many."""

    def __init__(self, back, every, pictures=True, sound=True):
        super().__init__()
        self.back, self.every, self.of_pictures, self.of_sound = back, every, pictures, sound

    def stepped(self, rate, stamp, does):
        return stamp - stamp // (rate * self.every) * round(self.back * rate) * does

    def timestamp(self, frame):
        return self.stepped(90000, super().timestamp(frame), self.of_pictures)

    def audio_stamp(self, packet):
        return self.stepped(8000, super().audio_stamp(packet), self.of_sound)


STEPS_BACK = {
    "pictures": dict(back=0.8, every=1, sound=False),
    "both": dict(back=0.8, every=1),
    "sound": dict(back=0.5, every=2, pictures=False),
    "a little": dict(back=0.2, every=1),
}


def test_stamps_that_step_back_again_and_again(shared_gateway):
    """What was sent in 20 s is 20 s long.  Four cameras at once."""
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(ScriptedCamera(SteppingBack(**steps))) for steps in STEPS_BACK.values()]
        viewers = [stack.enter_context(shared_gateway.view(camera.url())) for camera in cameras]
        for viewer in viewers:
            viewer.wait(lambda v: time.monotonic() - v.started > 20, 60, "20 s")
    for name, viewer in zip(STEPS_BACK, viewers):
        print(name)
        for frames, usual_ms in ((viewer.flv.video, 40), (viewer.flv.audio, 1024000 / viewer.flv.audio[0].config.rate)):
            late = [f for f in frames if f.received - viewer.started > 8]
            real = late[-1].received - late[0].received
            assert abs((late[-1].dts - late[0].dts) / 1000 - real) < 0.3
            steps = [b.dts - a.dts for a, b in zip(late, late[1:])]
            assert max(steps) <= 200 and sum(step < usual_ms / 2 for step in steps) < len(steps) / 10, sorted(steps)[:30]


class OtherRate(Drifting):
    """Stamps that count another rate than the SDP says."""

    def __init__(self, picture_hz=90000, sound_hz=8000):
        super().__init__()
        self.picture_hz, self.sound_hz = picture_hz, sound_hz

    def timestamp(self, frame):
        return frame * self.picture_hz // fake_rtsp.FPS

    def audio_stamp(self, packet):
        return packet * self.sound_hz // 50


OTHER_RATES = {
    "sound at 90 kHz": dict(sound_hz=90000),
    "sound at a tenth": dict(sound_hz=711),
    "pictures at 8 kHz": dict(picture_hz=8000),
    "pictures at 180 kHz": dict(picture_hz=180000),
    "both in milliseconds": dict(picture_hz=1000, sound_hz=1000),
    "a tick for each picture": dict(picture_hz=fake_rtsp.FPS),
}


def test_stamps_at_another_clock_rate(shared_gateway, tmp_path):
    """Six cameras at once."""
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(ScriptedCamera(OtherRate(**rates))) for rates in OTHER_RATES.values()]
        viewers = [stack.enter_context(shared_gateway.view(camera.url(), keep_bytes=True)) for camera in cameras]
        for viewer in viewers:
            viewer.wait(lambda v: time.monotonic() - v.started > 20, 60, "20 s")
    for number, (name, viewer) in enumerate(zip(OTHER_RATES, viewers)):
        print(name)
        assert_in_time(viewer, 20, acquired_s=8)
        assert_heard(viewer, tmp_path / f"{number}.flv")


class Bursting(PlayingRtmp):
    """A server that keeps the GOP: what it has comes at once, the rest in real time."""

    burst_s = 8

    def play(self, peer):
        begun = time.monotonic() - self.burst_s
        for kind, timestamp, body in flv_tags(self.flv):
            time.sleep(max(0, begun + timestamp / 1000 - time.monotonic()))
            peer.sendall(message(kind, body, timestamp, MEDIA_STREAM, 1))


def assert_at_the_edge(viewer, seconds=6):
    """What a player has in hand when it has just begun is all that it is behind by."""
    viewer.wait(lambda v: time.monotonic() - v.started > seconds, 60, f"{seconds} s")
    last = viewer.flv.video[-1]
    ahead = last.dts / 1000 - (last.received - viewer.first_key)
    assert ahead < 0.8, f"the player is {ahead:.1f} s behind"


def test_a_burst_is_history(shared_gateway, tmp_path):
    """A cached GOP of 8 s on connect: the first viewer is at the edge after it, as the second is."""
    path = tmp_path / "long.flv"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25", "-f", "lavfi", "-i",
                    "sine=frequency=400:sample_rate=44100", "-t", "40", "-c:v", "libx264", "-preset", "ultrafast",
                    "-profile:v", "baseline", "-tune", "zerolatency", "-g", "250", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "flv", path], check=True)
    with Bursting(path.read_bytes()) as server:
        url = f"rtmp://127.0.0.1:{server.port}/live/cam"
        with shared_gateway.view(url, keep_bytes=True) as first:
            assert_at_the_edge(first)
            with shared_gateway.view(url) as second:
                assert_at_the_edge(second, 4)
            first.wait(lambda v: time.monotonic() - v.started > 16, 60, "16 s")
    assert_no_jumps(first)
    assert_heard(first, tmp_path / "first.flv")
