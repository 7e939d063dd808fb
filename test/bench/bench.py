#!/usr/bin/python3
"""make bench: cold start, memory per worker.  Tables on stdout and in build/bench/.

Figures depend on the machine; what is comparable is the cold start's ratio to the bare RTSP dialogue,
measured in the same run.
"""
import argparse
import re
import socket
import statistics
import struct
import tempfile
import time

from measure import table, write  # first: it leads to lib

from lib import processes
from lib.cameras import SampleCameras
from lib.gateway import Gateway
from lib.wait import wait_for

ROW = "720p-H264-AAC"
QUICK_IDLE = "[server]\nspare_workers = 2\n[camera]\nidle_timeout_ms = 100\n"


# --- the reference of the cold start --------------------------------------------------------------

class Dialogue:
    """The least a client says to get pictures over RTSP and TCP (RFC 2326), and when each came."""

    def __init__(self, port, path):
        self.buffer, self.cseq, self.session = b"", 0, None
        self.base = f"rtsp://127.0.0.1:{port}{path}"
        self.start = time.monotonic()
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def more(self):
        chunk = self.sock.recv(262144)
        if not chunk:
            raise RuntimeError("the camera closed")
        self.buffer += chunk

    def ask(self, method, uri, *headers):
        self.cseq += 1
        lines = [f"{method} {uri} RTSP/1.0", f"CSeq: {self.cseq}", "User-Agent: bench", *headers]
        if self.session:
            lines.append(f"Session: {self.session}")
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        text = head.decode()
        if not text.startswith("RTSP/1.0 200"):
            raise RuntimeError(f"{method}: {text}")
        fields = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in text.split("\r\n")[1:])}
        length = int(fields.get("content-length", 0))
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        if "session" in fields:
            self.session = fields["session"].split(";")[0]
        return fields, body.decode()

    def run(self):
        """Seconds until PLAY was answered, and until the first picture was complete."""
        self.ask("OPTIONS", self.base)
        fields, sdp = self.ask("DESCRIBE", self.base, "Accept: application/sdp")
        base = fields.get("content-base", self.base)
        controls = re.findall(r"^m=(\w+).*?^a=control:(\S+)", sdp, re.M | re.S)
        for number, (_, control) in enumerate(controls):
            uri = control if control.startswith("rtsp:") else base.rstrip("/") + "/" + control
            self.ask("SETUP", uri, f"Transport: RTP/AVP/TCP;unicast;interleaved={2 * number}-{2 * number + 1}")
        video = 2 * [media for media, _ in controls].index("video")
        self.ask("PLAY", base, "Range: npt=0.000-")
        played = time.monotonic() - self.start
        while True:
            while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">H", self.buffer[2:4])[0]:
                self.more()
            channel, size = struct.unpack(">xBH", self.buffer[:4])
            packet, self.buffer = self.buffer[4:4 + size], self.buffer[4 + size:]
            if channel == video and packet[1] & 0x80:  # RTP marker: the picture's last packet
                return played, time.monotonic() - self.start

    def close(self):
        try:
            self.ask_no_answer("TEARDOWN")
        finally:
            self.sock.close()

    def ask_no_answer(self, method):
        self.cseq += 1
        self.sock.sendall(f"{method} {self.base} RTSP/1.0\r\nCSeq: {self.cseq}\r\n"
                          f"Session: {self.session}\r\n\r\n".encode())


def spread(values, scale=1000.0):
    ordered = sorted(v * scale for v in values)
    return {"median": statistics.median(ordered), "min": ordered[0], "max": ordered[-1],
            "p90": ordered[int(0.9 * (len(ordered) - 1) + 0.5)], "n": len(ordered)}


def bench_cold_start(cameras, directory, starts):
    """GET until the first key frame tag is complete, each time with no worker connected."""
    played, pictured, cold, first_byte = [], [], [], []
    path = f"/{ROW}.mp4"
    url = cameras.rtsp_url(ROW)
    with Gateway(directory, QUICK_IDLE, log_level="info") as gateway:
        for _ in range(starts):
            dialogue = Dialogue(cameras.rtsp_port, path)
            play, picture = dialogue.run()
            dialogue.close()
            played.append(play)
            pictured.append(picture)
            wait_for(lambda: not gateway.busy_workers() and len(gateway.all_workers()) == 2, 30,
                     "two spare workers and no busy one")
            with gateway.view(url) as viewer:
                viewer.wait_frames(1)
                cold.append(viewer.first_key - viewer.started)
                first_byte.append(viewer.first_byte - viewer.started)
    result = {"play_answered_ms": spread(played), "first_picture_ms": spread(pictured),
              "first_byte_ms": spread(first_byte), "first_key_ms": spread(cold)}
    result["over_handshake_ms"] = result["first_key_ms"]["median"] - result["play_answered_ms"]["median"]
    result["over_first_picture_ms"] = result["first_key_ms"]["median"] - result["first_picture_ms"]["median"]
    result["ratio_to_first_picture"] = result["first_key_ms"]["median"] / result["first_picture_ms"]["median"]
    return result


def bench_memory(cameras, directory, seconds):
    """PSS and private memory of a worker with one viewer, after some seconds of streaming."""
    result = {}
    with Gateway(directory, QUICK_IDLE, log_level="info") as gateway:
        for row in (ROW, "720p-H264-G711A", "720p-H265-OPUS", "4k-H264-AAC"):
            with gateway.view(cameras.rtsp_url(row)) as viewer:
                viewer.wait_frames(25 * seconds)
                worker = gateway.worker_of(cameras.rtsp_port)[0]
                result[row] = {"pss_mb": processes.pss_bytes(worker) / 1e6,
                               "private_mb": processes.private_bytes(worker) / 1e6}
            wait_for(lambda: not gateway.busy_workers(), 30, "the worker to leave")
        for name, pid in (("master", gateway.pid), ("nursery", gateway.nursery()),
                          ("spare worker", gateway.all_workers()[0])):
            result[name] = {"pss_mb": processes.pss_bytes(pid) / 1e6,
                            "private_mb": processes.private_bytes(pid) / 1e6}
    return result


# --- output ---------------------------------------------------------------------------------------

def cold_start_text(r):
    def row(name, v):
        return (name, f"{v['median']:.1f}", f"{v['min']:.1f}", f"{v['p90']:.1f}", f"{v['max']:.1f}", v["n"])
    return "\n".join([
        f"## Cold start ({ROW}, key frame at PLAY, spare worker ready)", "",
        table(("ms", "median", "min", "p90", "max", "n"), [
            row("bare RTSP dialogue: PLAY answered", r["play_answered_ms"]),
            row("bare RTSP dialogue: first picture complete", r["first_picture_ms"]),
            row("gateway: GET to first byte", r["first_byte_ms"]),
            row("gateway: GET to first key frame tag", r["first_key_ms"])]), "",
        f"First key frame tag: handshake + {r['over_handshake_ms']:.1f} ms; "
        f"{r['ratio_to_first_picture']:.2f} times the bare dialogue's first picture."])


def memory_text(r):
    return "\n".join(["## Memory (one viewer per worker)", "", table(("process", "PSS MB", "private MB"), [
        (name, f"{v['pss_mb']:.1f}", f"{v['private_mb']:.1f}") for name, v in r.items()])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("cold-start", "memory"))
    parser.add_argument("--starts", type=int, default=20)
    options = parser.parse_args()
    parts = {
        "cold-start": (lambda c, d: bench_cold_start(c, d, options.starts), cold_start_text),
        "memory": (lambda c, d: bench_memory(c, d, 10), memory_text)}
    with tempfile.TemporaryDirectory() as directory, SampleCameras(sizes=("720p", "4k")) as cameras:
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure(cameras, directory)
                write(name, result, text(result))


if __name__ == "__main__":
    main()
