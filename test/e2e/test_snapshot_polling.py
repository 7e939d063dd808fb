"""Snapshots as programs poll them: key frames alone, each picture once, when it was taken, parts of it."""
import datetime
import subprocess
import time

import numpy as np
import pytest

from conftest import QUICK
from lib import picture
from lib.snapshot import MjpegViewer, counter_of, jpeg_size, snapshot
from lib.wait import wait_for

ROW = "720p-H264-AAC"


def taken_at(headers):
    return datetime.datetime.fromisoformat(headers["x-snapshot-time"].replace("Z", "+00:00")).timestamp()


@pytest.mark.parametrize("row", [ROW, "720p-H265-AAC"])
@pytest.mark.parametrize("switches", [{}, {"loop": "bframes"}])
def test_key_frame(patient, sample_cameras, row, switches):
    """The picture of the newest key frame that a viewer has got, not of a frame between two."""
    url = sample_cameras.rtsp_url(row, **switches)
    with patient.view(url) as viewer:
        viewer.wait_frames(20)
        for _ in range(6):
            time.sleep(0.37)
            answer = snapshot(patient, url, picture="key")
            newest = counter_of(snapshot(patient, url))
            assert answer.status == 200
            counter = counter_of(answer)
            age_frames = (newest - counter) % picture.LOOP_FRAMES
            keys = [frame for frame in viewer.flv.video if frame.key]
            assert keys and counter is not None
            assert age_frames <= 110, "older than the newest GOP"
        answers = [snapshot(patient, url, picture="key") for _ in range(3)]  # read later: that takes seconds when busy
        counters = set(map(counter_of, answers))
        assert len(counters) <= 2, "a key frame does not come with every request"


@pytest.mark.parametrize("how", ["after", "prefer"])
def test_each_picture_once(busy, how):
    gateway, url = busy
    answer = snapshot(gateway, url)
    numbers, counters = [int(answer.headers["x-snapshot-sequence"])], [counter_of(answer)]
    for _ in range(20):
        tag = answer.headers["etag"]
        if how == "after":
            answer = snapshot(gateway, url, after=tag)
        else:
            answer = snapshot(gateway, url, headers={"If-None-Match": tag, "Prefer": "wait=5"})
            assert answer.headers["preference-applied"] == "wait=5"
        assert answer.status == 200
        numbers.append(int(answer.headers["x-snapshot-sequence"]))
        counters.append(counter_of(answer))
    assert all(a < b for a, b in zip(numbers, numbers[1:])), numbers
    # The sequence counts frames: it grows as the picture's own counter does.
    for i in range(1, len(numbers)):
        assert (counters[i] - counters[0]) % picture.LOOP_FRAMES == (numbers[i] - numbers[0]) % picture.LOOP_FRAMES


def test_wait_ends(make_gateway, make_camera):
    gateway = make_gateway(QUICK.replace("stall_timeout_ms = 4000", "stall_timeout_ms = 20000"))
    camera = make_camera()
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        camera.muted.set()
        time.sleep(0.3)
        tag = snapshot(gateway, camera.url()).headers["etag"]
        answer = snapshot(gateway, camera.url(), after=tag, headers={"Prefer": "wait=2"})
        assert answer.status == 304 and answer.body == b""
        assert answer.headers["etag"] == tag
        assert 1.9 < answer.answered - answer.asked < 10
        camera.muted.clear()
        answer = snapshot(gateway, camera.url(), after=tag)
        assert answer.status == 200


@pytest.mark.parametrize("offset,clock", [(None, "server"), (-0.4, "camera"), (-3600, "server"), (+900, "server")])
def test_time(gateway, make_camera, offset, clock):
    """By the camera's sender reports when they can be true."""
    begun = []

    def wall(seconds):
        begun.append(time.time() - seconds)
        return begun[0] + seconds + offset
    camera = make_camera()
    camera.wall = wall if offset is not None else None
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(40)
        answer = snapshot(gateway, camera.url())
        now = time.time()
        with MjpegViewer(gateway, camera.url(), fps=10) as mjpeg:
            wait_for(lambda: len(mjpeg.parts) >= 3, 10, "three parts")
    assert answer.headers["x-snapshot-clock"] == clock
    expected = now + (offset if clock == "camera" else 0)
    assert expected - 2 < taken_at(answer.headers) < expected + 0.3
    assert answer.headers["x-snapshot-codec"] == "H.264"
    assert jpeg_size(answer.body) == tuple(map(int, answer.headers["x-snapshot-size"].split("x")))
    assert answer.headers["x-snapshot-source-size"] == answer.headers["x-snapshot-size"]
    exif = subprocess.run(["ffprobe", "-v", "error", "-f", "mjpeg", "-show_entries", "frame_tags", "-"],
                          input=answer.body, stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
    told = datetime.datetime.fromtimestamp(taken_at(answer.headers), datetime.timezone.utc)
    assert told.strftime("DateTimeOriginal=%Y:%m:%d %H:%M:%S") in exif.replace("TAG:", "")
    assert f"SubSecTimeOriginal={told.microsecond // 1000:03d}" in exif.replace("TAG:", "")
    numbers = [int(fields["x-snapshot-sequence"]) for _, fields, _ in mjpeg.parts]
    assert numbers == sorted(set(numbers))
    assert {fields["x-snapshot-clock"] for _, fields, _ in mjpeg.parts} == {clock}


def test_crop(busy):
    gateway, url = busy
    for x, y, width, height in ((0, 0, 640, 360), (101, 53, 333, 211), (1264, 704, 16, 16)):
        tag = snapshot(gateway, url).headers["etag"]
        part = snapshot(gateway, url, crop=f"{x},{y},{width},{height}", quality=95, picture="key")
        whole = snapshot(gateway, url, quality=95, picture="key")
        assert part.status == 200 and jpeg_size(part.body) == (width, height)
        assert part.headers["x-snapshot-source-size"] == "1280x720"
        assert part.headers["etag"] != tag
        if part.headers["x-snapshot-sequence"] == whole.headers["x-snapshot-sequence"]:
            cut = picture.read_jpeg(whole.body)[y:y + height, x:x + width].astype(int)
            assert np.abs(cut - picture.read_jpeg(part.body).astype(int)).mean() < 6
    scaled = snapshot(gateway, url, crop="320,180,640,360", width=320)
    assert jpeg_size(scaled.body) == (320, 180)
    outside = snapshot(gateway, url, crop="1270,0,16,16")
    assert (outside.status, outside.code) == (400, "bad_parameter") and "1280x720" in outside.error["message"]


@pytest.mark.parametrize("name,value", [("picture", "old"), ("crop", "1,2,3"), ("crop", "0,0,15,16"),
                                        ("after", "a b")])
def test_bad_parameter(busy, name, value):
    gateway, url = busy
    answer = snapshot(gateway, url, **{name: value})
    assert (answer.status, answer.code) == (400, "bad_parameter") and answer.error["message"].startswith(name)
