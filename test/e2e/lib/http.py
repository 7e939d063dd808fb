"""HTTP as a test wants it: requests byte for byte as given, and viewers that read in the background."""
import json
import os
import select
import socket
import threading
import time
import urllib.parse

from .flv import FlvReader
from .wait import wait_for


class Answer:
    """A complete response."""

    def __init__(self, raw):
        head, separator, self.body = raw.partition(b"\r\n\r\n")
        if not separator:
            raise AssertionError(f"no response head in {raw[:200]!r}")
        self.status, self.headers, self.header_list = parse_head(head)

    @property
    def error(self):
        """The object inside {"error": …}."""
        value = json.loads(self.body)
        assert set(value) == {"error"}, value
        return value["error"]

    @property
    def code(self):
        return self.error["code"]


def parse_head(head):
    lines = head.decode("latin-1").split("\r\n")
    version, status = lines[0].split(" ", 2)[:2]
    assert version == "HTTP/1.1", lines[0]
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        assert colon and name and name == name.strip(), f"header line {line!r}"
        pairs.append((name.lower(), value.strip()))
    return int(status), dict(pairs), pairs


def encode(text):
    return urllib.parse.quote(text, safe="")


def stream_target(cam_url, raw=False, path="/", **parameters):
    """The request target for a camera; raw as people paste it, otherwise percent-encoded."""
    value = cam_url if raw else encode(cam_url)
    return path + "?" + "&".join([f"cam_url={value}"] + [f"{k}={encode(str(v))}" for k, v in parameters.items()])


def head_bytes(target, method="GET", headers=None, version="HTTP/1.1"):
    lines = [f"{method} {target} {version}"]
    headers = {"Host": "127.0.0.1", "Connection": "close", **(headers or {})}
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(port, timeout=30, tls=None, source=None):
    """tls: an ssl client context.  source: the client's address, 127.0.0.1 by default."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout,
                                    source_address=None if source is None else (source, 0))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock if tls is None else tls.wrap_socket(sock, server_hostname="127.0.0.1")


def read_all(sock, limit=1 << 20):
    """Until the peer closes; a reset after the answer counts as its end."""
    data = b""
    while len(data) < limit:
        try:
            chunk = sock.recv(65536)
        except ConnectionResetError:
            break
        if not chunk:
            break
        data += chunk
    return data


def exchange(port, data, timeout=30, source=None):
    """Send bytes, read until the server closes."""
    with connect(port, timeout, source=source) as sock:
        sock.sendall(data)
        return read_all(sock)


def request(port, target, method="GET", headers=None, timeout=30, source=None, body=None):
    """One request whose answer ends (errors, HEAD, OPTIONS): an Answer.  body: bytes, sent with their length."""
    if body is not None:
        headers = {"Content-Length": str(len(body)), **(headers or {})}
    return Answer(exchange(port, head_bytes(target, method, headers) + (body or b""), timeout, source))


class Viewer:
    """One HTTP-FLV viewer.  A thread reads; the FLV reader parses what comes, strictly.

    answer_status is None until the head came.  Use as a context manager, or close() it.
    """

    def __init__(self, port, target, headers=None, keep_bytes=False, timeout=60, source=None):
        self.status = None
        self.headers = {}
        self.body = b""  # of an error answer
        self.flv = FlvReader()
        self.failure = None  # the exception that ended the reading
        self.closed_by_server = False
        self.data = bytearray() if keep_bytes else None
        self.started = time.monotonic()
        self.first_byte = None  # when the first byte of the response came
        self.first_key = None  # when the first key frame was complete
        self._wake_read, self._wake_write = os.pipe()
        self._sock = connect(port, timeout, source=source)
        self.local_port = self._sock.getsockname()[1]
        self._sock.sendall(head_bytes(target, headers=headers))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None:
            self.check()

    def _run(self):
        head = b""
        poll = select.poll()  # select() knows no descriptor above 1023
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        try:
            while True:
                if any(fd == self._wake_read for fd, _ in poll.poll()):
                    return
                try:
                    chunk = self._sock.recv(262144)
                except ConnectionResetError:
                    chunk = b""
                now = time.monotonic()
                if not chunk:
                    self.closed_by_server = True
                    return
                if self.first_byte is None:
                    self.first_byte = now
                if self.status is None:
                    head += chunk
                    if b"\r\n\r\n" not in head:
                        continue
                    head, _, chunk = head.partition(b"\r\n\r\n")
                    status, self.headers, _ = parse_head(head)
                    self.status = status
                if self.status != 200:
                    self.body += chunk
                    continue
                if self.data is not None:
                    self.data += chunk
                self.flv.feed(chunk, now)
                if self.first_key is None and self.flv.video:
                    self.first_key = now
        except Exception as exception:  # reported by check() in the test's own thread
            self.failure = exception

    def check(self):
        """Raise what went wrong in the reading thread."""
        if self.failure is not None:
            raise AssertionError(f"viewer: {self.failure!r}") from self.failure

    def wait(self, predicate, deadline, what):
        def ready():
            self.check()
            if self.status not in (None, 200):
                raise AssertionError(f"viewer got {self.status} {self.body!r}")
            if predicate(self):
                return True
            if self.closed_by_server:
                raise AssertionError(f"the server closed the viewer while waiting for {what}")
            return False
        wait_for(ready, deadline, what)
        return self

    def wait_frames(self, count, deadline=60):
        return self.wait(lambda v: len(v.flv.video) >= count, deadline, f"{count} video frames")

    def wait_status(self, deadline=60):
        wait_for(lambda: self.check() or self.status is not None or self.closed_by_server, deadline,
                 "a response head")
        assert self.status is not None, "the server closed without an answer"
        return self.status

    def wait_more(self, count, deadline=60):
        """count frames more than there are now."""
        return self.wait_frames(len(self.flv.video) + count, deadline)

    def wait_closed(self, deadline=30):
        wait_for(lambda: self.closed_by_server or self.failure, deadline, "the server to close the viewer")
        self.check()

    def stop(self):
        """Stop reading and close."""
        if self._sock is not None:
            os.write(self._wake_write, b"x")
            self._thread.join()
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._sock.close()
            self._sock = None

    def close(self):
        """stop(); raises if the stream was malformed."""
        self.stop()
        self.check()


class SlowReader:
    """A viewer that reads so many bytes a second, by a small window; in the thread of who calls read_until()."""

    def __init__(self, port, target, bytes_per_second):
        self.flv = FlvReader()
        self.bytes_per_second = bytes_per_second
        self._sock = socket.socket()
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self._sock.settimeout(30)
        self._sock.connect(("127.0.0.1", port))
        self._sock.sendall(head_bytes(target))
        head, _, rest = self._sock.recv(4096).partition(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n")[0], head
        self.flv.feed(rest)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def read_until(self, predicate, deadline):
        until = time.monotonic() + deadline
        while not predicate(self.flv):
            assert time.monotonic() < until, f"a slow viewer got {len(self.flv.video)} pictures in {deadline} s"
            chunk = self._sock.recv(8192)
            assert chunk, "the server closed a slow viewer"
            self.flv.feed(chunk, time.monotonic())
            time.sleep(8192 / self.bytes_per_second)
