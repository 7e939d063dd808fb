"""Asking the snapshot port, and telling how fresh an answer is."""
import threading
import time

from . import picture
from .http import Answer, connect, head_bytes, parse_head, read_all, stream_target

ANSWER_MAX = 1 << 26


def ask(port, target, method="GET", headers=None, body=b"", timeout=60):
    """One request -> Answer, with the times (time.monotonic) of .asked and .answered."""
    with connect(port, timeout) as sock:
        asked = time.monotonic()
        sock.sendall(head_bytes(target, method, headers) + body)
        raw = read_all(sock, ANSWER_MAX)
    answer = Answer(raw)
    answer.asked, answer.answered = asked, time.monotonic()
    if answer.status == 200 and method != "HEAD":
        assert len(answer.body) == int(answer.headers["content-length"]), "the body is cut"
    return answer


def snapshot(gateway, cam_url, method="GET", headers=None, body=b"", timeout=60, raw=False, **parameters):
    return ask(gateway.snapshot_port, stream_target(cam_url, raw, "/snapshot", **parameters), method, headers,
               body, timeout)


def jpeg_size(data):
    """(width, height) from the frame header (ITU-T T.81 B.2.2)."""
    at = 2
    assert data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9", "not a whole JPEG"
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return int.from_bytes(data[at + 7:at + 9], "big"), int.from_bytes(data[at + 5:at + 7], "big")


def counter_of(answer):
    """The counter in the picture, None when it is damaged."""
    return picture.read_counter(picture.read_jpeg(answer.body))


def read_jpegs(jpegs, width=320, height=180):
    """Many JPEGs of one size -> list of grey pictures, with one ffmpeg."""
    return picture.decode_frames("-", width, height, ("-f", "mjpeg"), data=b"".join(jpegs))


def counters_of_frames(flv):
    """The counter of each video frame of an FlvReader, in the order received."""
    shown = picture.decode_counters("-", input_options=("-f", flv.video[0].config.codec),
                                    data=flv.annex_b(), timeout_s=300)
    assert len(shown) == len(flv.video), (len(shown), len(flv.video))
    order = sorted(range(len(flv.video)), key=lambda i: flv.video[i].pts)
    result = [None] * len(shown)
    for position, index in enumerate(order):
        result[index] = shown[position]
    return result


def frames_behind(counter, asked, video, counters, period=picture.LOOP_FRAMES):
    """How many pictures a snapshot is behind the newest one that a viewer had when it was asked for.

    video, counters: the viewer's frames and what counters_of_frames() made of them.  Negative: the
    snapshot is newer.
    """
    newest = max((f.pts, c) for f, c in zip(video, counters) if f.received <= asked)[1]
    return (newest - counter + period // 2) % period - period // 2


class MjpegViewer:
    """Reads /mjpeg in the background -> parts: (time of its last byte, headers, JPEG)."""

    def __init__(self, gateway, cam_url, **parameters):
        self.parts, self.status, self.headers, self.failure = [], None, {}, None
        self._sock = connect(gateway.snapshot_port, 60)
        self._sock.sendall(head_bytes(stream_target(cam_url, False, "/mjpeg", **parameters)))
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._closing = True
        self._sock.shutdown(2)
        self._thread.join()
        self._sock.close()
        if kind is None and self.failure is not None:
            raise AssertionError(f"MJPEG viewer: {self.failure!r}") from self.failure

    def _run(self):
        try:
            with self._sock.makefile("rb") as stream:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = stream.readline()
                    assert line, "closed without an answer"
                    head += line
                self.status, self.headers, _ = parse_head(head[:-4])
                kind, _, boundary = self.headers["content-type"].partition("; boundary=")
                assert kind == "multipart/x-mixed-replace"
                assert stream.readline() == b"--" + boundary.encode() + b"\r\n"
                while True:
                    fields = {}
                    while (line := stream.readline()) not in (b"\r\n", b""):
                        name, _, value = line.decode().partition(":")
                        fields[name.lower()] = value.strip()
                    if not fields:
                        return
                    data = stream.read(int(fields["content-length"]))
                    assert stream.readline() == b"\r\n"
                    assert stream.readline() == b"--" + boundary.encode() + b"\r\n"
                    self.parts.append((time.monotonic(), fields, data))
        except Exception as failure:  # reported when the viewer is closed
            if not self._closing:
                self.failure = failure


def in_parallel(count, function):
    """function(0..count-1) in threads started at once -> results; raises what one of them raised."""
    results, failures = [None] * count, []
    start = threading.Barrier(count)

    def run(i):
        try:
            start.wait()
            results[i] = function(i)
        except Exception as failure:  # raised below, in the test's own thread
            failures.append(failure)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
