#!/usr/bin/python3
"""How long /healthz takes for one client while another one takes what it can.  Not part of make bench.

Attacker (127.0.0.1), poller (127.0.0.2) and gateway are processes of their own; the poller does nothing else, on a
connection of its own for each request.  A table on stdout.
"""
import argparse
import contextlib
import json
import multiprocessing
import resource
import select
import socket
import tempfile
import time

from measure import QUICK_IDLE, build_if_missing, quantile, table  # first: it leads to lib

from lib import fake_rtsp
from lib.gateway import Gateway
from lib.http import Answer, connect, exchange, head_bytes, stream_target

POLL_S = 0.01
NAMED = "".join(f'[camera "camera-{n}"]\nurl = rtsp://127.0.0.1:9/named-{n}\n' for n in range(500))


def many_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def half_heads(gateway, _camera, ready):
    """5000 connections that send half a head, renewed when they are closed."""
    sockets = []
    while True:
        for n in range(5000):
            sock = connect(gateway.snapshot_port if n % 2 else gateway.flv_port)
            with contextlib.suppress(OSError):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            sockets.append(sock)
            if len(sockets) > 5000:
                sockets.pop(0).close()
        ready.set()


def silent_cameras(gateway, _camera, ready):
    """Requests for cameras that accept and never answer, as fast as they are answered or refused."""
    with fake_rtsp.FakeCamera(silent="accept") as silent:
        sockets = []
        for n in range(1 << 30):
            sock = connect(gateway.flv_port)
            sock.sendall(head_bytes(stream_target(silent.url(f"/{n}"))))
            sockets.append(sock)
            if len(sockets) > 300:
                sockets.pop(0).close()
                ready.set()


def wrong_requests(gateway, _camera, ready):
    """Requests that are answered with an error, and metrics, one after the other."""
    while True:
        for target in ("/no-such-path", "/metrics", "/api/streams", "/snapshot?cam=nobody"):
            with contextlib.suppress(OSError):
                exchange(gateway.snapshot_port, head_bytes(target))
        ready.set()


def slow_readers(gateway, camera, ready):
    """2000 viewers that read nothing."""
    sockets = []
    for _ in range(2000):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", gateway.flv_port))
        sock.sendall(head_bytes(stream_target(camera)))
        sockets.append(sock)
    ready.set()
    time.sleep(3600)


def guesses(gateway, _camera, ready):
    """Passwords, each another one, as fast as they are answered or refused."""
    with fake_rtsp.FakeCamera(user="admin", password="right") as camera:
        for n in range(1 << 30):
            with contextlib.suppress(OSError):
                exchange(gateway.flv_port, head_bytes(stream_target(camera.url(user="admin", password=f"guess-{n}"))))
            ready.set()


def pictures(gateway, camera, ready):
    """300 MJPEG clients of sizes of their own."""
    sockets = []
    for n in range(300):
        sock = connect(gateway.snapshot_port)
        sock.sendall(head_bytes(stream_target(camera, path="/mjpeg", fps=30, width=64 + n)))
        sockets.append(sock)
    ready.set()
    while True:
        for sock in select.select(sockets, [], [])[0]:
            if not sock.recv(1 << 20):
                sockets.remove(sock)


def floods(gateway, camera, ready):
    """WebSockets and snapshots of other sizes each, 64 of them at a time, as fast as they are answered or refused."""
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    sockets = []
    for n in range(1 << 30):
        with contextlib.suppress(OSError):
            if n % 2:
                head, port = head_bytes(stream_target(camera), headers=upgrade), gateway.flv_port
            else:
                head, port = head_bytes(stream_target(camera, path="/snapshot", width=64 + n % 800)), gateway.snapshot_port
            sockets.append(connect(port))
            sockets[-1].sendall(head)
            if len(sockets) > 64:
                with sockets.pop(0) as oldest:
                    oldest.recv(65536)
                ready.set()


def changes(gateway, _camera, ready):
    """Requests that change something, and requests for all that says so."""
    while True:
        for method, target in (("DELETE", "/api/streams/camera-7"), ("GET", "/metrics"),
                               ("DELETE", "/api/streams/camera-7"), ("GET", "/api/streams"),
                               ("DELETE", "/api/streams/camera-7"), ("GET", "/api/cameras")):
            with contextlib.suppress(OSError):
                exchange(gateway.snapshot_port, head_bytes(target, method))
        ready.set()


def starts(gateway, _camera, ready):
    """Cameras that refuse the connection, each another one, stopped at once."""
    for n in range(1 << 30):
        with contextlib.suppress(OSError):
            exchange(gateway.flv_port, head_bytes(stream_target(f"rtsp://127.0.0.1:9/{n}")))
            answer = Answer(exchange(gateway.snapshot_port, head_bytes("/api/streams")))
            for stream in json.loads(answer.body)["streams"]:
                if ":9/" in stream["camera_url"]:
                    exchange(gateway.snapshot_port, head_bytes("/api/streams/" + stream["id"], "DELETE"))
        ready.set()


def poll(port, seconds, answers):
    """-> times in ms, and how many answers were wrong."""
    times, wrong, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            wrong += not exchange(port, head_bytes("/healthz"), source="127.0.0.2").startswith(b"HTTP/1.1 200 ")
        except OSError:
            wrong += 1
        times.append(1000 * (time.monotonic() - began))
        time.sleep(POLL_S)
    answers.put((times, wrong))


def measure(attack, seconds):
    with tempfile.TemporaryDirectory() as folder, fake_rtsp.FakeCamera(video=fake_rtsp.media()) as camera, \
            Gateway(folder, QUICK_IDLE + NAMED, log_level="info") as gateway:
        answers, ready = multiprocessing.Queue(), multiprocessing.Event()
        attacker = None
        if attack is not None:
            attacker = multiprocessing.Process(target=attack, args=(gateway, camera.url(), ready), daemon=True)
            attacker.start()
            ready.wait(120)
        poller = multiprocessing.Process(target=poll, args=(gateway.snapshot_port, seconds, answers))
        poller.start()
        times, wrong = answers.get(timeout=seconds + 60)
        poller.join()
        if attacker is not None:
            attacker.kill()
            attacker.join()
        return times, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--only", help="one attack, by its name")
    args = parser.parse_args()
    build_if_missing()
    many_descriptors()
    rows = []
    for attack in (None, half_heads, guesses, silent_cameras, starts, pictures, floods, slow_readers, wrong_requests,
                   changes):
        if args.only not in (None, attack and attack.__name__):
            continue
        times, wrong = measure(attack, args.seconds)
        rows.append([attack.__name__ if attack else "nobody", str(len(times)), str(wrong),
                     *(f"{quantile(times, q):.1f}" for q in (0.5, 0.99, 1))])
    print(table(["attack", "asked", "wrong", "p50 ms", "p99 ms", "max ms"], rows))


if __name__ == "__main__":
    main()
