"""A client with another address, who must not notice what somebody does to the server meanwhile."""
import threading
import time

from .http import Answer, Viewer, exchange, head_bytes, stream_target

ADDRESS = "127.0.0.2"


class Bystander:
    """Watches one camera, and asks for /healthz, the page and a snapshot over and over.

    Use as a context manager; leaving it asserts that every answer was right and that the viewer got frames to
    the end.  healthz_s: how long each /healthz took.
    """

    def __init__(self, gateway, cam_url, address=ADDRESS):
        self.gateway, self.cam_url, self.address = gateway, cam_url, address
        self.healthz_s, self.wrong, self.rounds = [], [], 0
        self._stop = threading.Event()
        self._viewer = Viewer(gateway.flv_port, stream_target(cam_url), source=address)
        self._viewer.wait_frames(2)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stop.set()
        self._thread.join()
        if kind is None:
            self._viewer.wait_more(10)
            assert not self.wrong, f"{len(self.wrong)} of {4 * self.rounds}: {self.wrong[:5]}"
            assert self.rounds > 0
        self._viewer.stop()

    def p99_ms(self):
        return 1000 * sorted(self.healthz_s)[int(0.99 * len(self.healthz_s))]

    def wait_rounds(self, count, deadline=120):
        """Until it has asked for everything so many more times."""
        until, end = self.rounds + count, time.monotonic() + deadline
        while self.rounds < until:
            assert time.monotonic() < end, f"{self.rounds} rounds"
            time.sleep(0.02)

    def _ask(self, port, target, begins):
        began = time.monotonic()
        try:
            answer = Answer(exchange(port, head_bytes(target), source=self.address))
            if answer.status != 200 or not answer.body.startswith(begins):
                self.wrong.append((target, answer.status, answer.body[:200]))
        except (OSError, AssertionError) as error:
            self.wrong.append((target, repr(error)))
        return time.monotonic() - began

    def _run(self):
        flv, snapshot = self.gateway.flv_port, self.gateway.snapshot_port
        while not self._stop.is_set():
            self.healthz_s.append(self._ask(snapshot, "/healthz", b"ok"))
            self._ask(flv, "/", b"<!doctype html>")
            self._ask(snapshot, stream_target(self.cam_url, path="/snapshot"), b"\xff\xd8\xff")
            self.healthz_s.append(self._ask(snapshot, "/healthz", b"ok"))
            self.rounds += 1
            self._stop.wait(0.02)
