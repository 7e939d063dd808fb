"""A camera that says in each picture when it sent it (stamp.h)."""
import base64
import struct
import threading
import time

import measure  # noqa: F401  it leads to lib

from lib.scripted_rtsp import Script

UUID = b"CAM-HTTPFLV-SENT"


class Stamping(Script):
    """A camera in real time that says in each frame when it sent it."""

    speed = 1

    def on_play(self, session, request):
        # Not before the answer: libavformat drops what comes earlier.
        threading.Timer(0.002, session.start_media).start()
        return 200, [self.session_line(session), *self.rtp_info(session)], ""

    def video_sdp(self):
        sets = [base64.b64encode(nal).decode() for nal in self.video.parameter_sets]
        if self.video.codec == "h264":
            fmtp = "packetization-mode=1;sprop-parameter-sets=" + ",".join(sets)
        else:
            fmtp = ";".join(f"sprop-{name}={value}" for name, value in zip(("vps", "sps", "pps"), sets))
        return [*super().video_sdp(), "a=fmtp:96 " + fmtp]

    def nals(self, index):
        head = b"\x06" if self.video.codec == "h264" else b"\x4e\x01"
        stamp = head + struct.pack("BB", 5, len(UUID) + 16) + UUID + b"0" * 16 + b"\x80"
        unit = self.video.units[index]
        sets = sum(nal in self.video.parameter_sets for nal in unit)  # these come first
        return [*unit[:sets], stamp, *unit[sets:]]

    def datagrams(self, session, track, packets):
        if track != "video":
            return packets
        now = b"%016x" % (time.monotonic_ns() // 1000)
        return [packet[:-17] + now + b"\x80" if UUID in packet[:64] else packet for packet in packets]
