"""Interlaced H.264 whose pictures tell whether both of their fields are there.

Picture n has luma 40 + 12 * (n % 16) in its upper field and OFFSET more in its lower one.  A picture of two others
shows another difference, and one whose second field was made up from the first shows none.

mbaff() is encoded by x264.  paff() has one field in each access unit, which no encoder at hand makes: it is written here
by hand (ITU-T H.264 7.3): every macroblock is I_PCM, its samples follow as they are.
"""
import re
import subprocess

import numpy as np

from .fake_rtsp import FPS, Media
from .picture import read_jpeg

WIDTH, HEIGHT = 320, 192
PICTURES = 16
OFFSET = 6


def _luma(number):
    return 40 + 12 * (number % PICTURES)


def fields_in(jpeg):
    """-> (number of the picture, or None if it is none of them; are both fields its own?)"""
    rgb = read_jpeg(jpeg).astype(np.float64)
    luma = rgb.mean(axis=(1, 2)) * 219 / 255 + 16  # grey pictures; JPEG is full range
    upper, lower = luma[0::2], luma[1::2]
    number = (upper.mean() - 40) / 12
    if abs(number - round(number)) > 0.2 or luma[::2].std() > 1.5:
        return None, False
    return round(number), abs(lower.mean() - upper.mean() - OFFSET) < 2 and lower.std() < 1.5


def mbaff():
    pictures = b""
    for number in range(PICTURES):
        lines = np.full((HEIGHT, WIDTH), _luma(number), np.uint8)
        lines[1::2] += OFFSET
        pictures += lines.tobytes() + b"\x80" * (WIDTH * HEIGHT // 2)
    data = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS),
         "-i", "-", "-c:v", "libx264", "-flags", "+ilme+ildct", "-bf", "0", "-g", str(PICTURES), "-qp", "4",
         "-x264-params", "interlaced=1:slices=1:scenecut=0", "-f", "h264", "-"],
        input=pictures, check=True, stdout=subprocess.PIPE, timeout=60).stdout
    return Media("h264", _nal_units(data))


def paff(together=False, reorder=0):
    """together: both fields of a picture are sent with one timestamp, as one unit; otherwise each with its own.
    reorder: of so many pictures, as the stream announces it; there is none."""
    nals = [_sps(reorder), _pps()]
    for number in range(PICTURES):
        nals += [_field(number, False), _field(number, True)]
    media = Media("h264", nals)
    if together:
        units = media.units
        media.units = [units[i] + units[i + 1] for i in range(0, len(units), 2)]
    return media


def _nal_units(data):
    return [nal.rstrip(b"\0") for nal in re.split(b"\0\0\1", data)[1:]]


# --- bits (9.1) ---------------------------------------------------------------

def _u(bits, value):
    return format(value, f"0{bits}b")


def _ue(value):
    code = format(value + 1, "b")
    return "0" * (len(code) - 1) + code


def _bytes(bits):
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _nal(header, payload):
    """With emulation prevention (7.4.1)."""
    return bytes([header]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def _sps(reorder):
    # Of the VUI only the last part (E.1.1): vectors, sizes and the length of vectors as usual, then the reordering.
    restriction = "0" * 8 + "1" + "1" + _ue(0) * 2 + _ue(10) * 2 + _ue(reorder) + _ue(1)
    return _nal(0x67, bytes([77, 0, 30]) + _bytes(
        _ue(0) + _ue(0) + _ue(0) + _ue(4) + _ue(1) + "0" +  # ID, frame_num of 4 bits, POC of 8 bits, 1 reference
        _ue(WIDTH // 16 - 1) + _ue(HEIGHT // 32 - 1) +
        "0" + "0" + "1" + "0" +  # not only frames; no MBAFF; direct 8x8; no cropping
        "1" + restriction + "1"))  # VUI; stop bit


def _pps():
    return _nal(0x68, _bytes(_ue(0) + _ue(0) + "0" + "0" + _ue(0) + _ue(0) + _ue(0) + "0" + "00" +
                             _ue(0) + _ue(0) + _ue(0) + "1" + "0" + "0" + "1"))


def _field(number, lower):
    idr = number == 0 and not lower  # the second field of an IDR picture is not an IDR field
    header = (_ue(0) + _ue(7) + _ue(0) + _u(4, number % 16) + "1" + str(int(lower)) +  # I slice, field
              (_ue(0) if idr else "") + _u(8, 2 * number + lower) +
              ("00" if idr else "0") + _ue(0) + _ue(1))  # marking; QP; no deblocking
    samples = bytes([_luma(number) + OFFSET * lower]) * 256 + b"\x80" * 128
    first = _bytes(header + _ue(25)) + samples
    other = _bytes(_ue(25)) + samples
    macroblocks = (WIDTH // 16) * (HEIGHT // 32)
    return _nal(0x65 if idr else 0x61, first + other * (macroblocks - 1) + b"\x80")
