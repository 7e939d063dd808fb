"""H.264 and HEVC whose pictures have several slices, and what publishers make of them in FLV."""
import os
import struct
import subprocess

from .fake_rtsp import FPS, ROOT, _split_annex_b

# libx265 4.1 (Debian 13) crashes when it makes several slices without these.
SLICES_OF_X265 = "pools=1:frame-threads=1"
PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}


def nal_type(codec, nal):
    return nal[0] & 0x1F if codec == "h264" else nal[0] >> 1 & 0x3F


def is_slice(codec, nal):
    return nal_type(codec, nal) in (1, 5) if codec == "h264" else nal_type(codec, nal) < 32


class SlicedMedia:
    """Access units as lists of NAL units; parameter_sets as they come first."""

    def __init__(self, codec, nals):
        self.codec, self.units, self.parameter_sets = codec, [], []
        unit, has_slice = [], False
        for nal in nals:
            first = is_slice(codec, nal) and nal[1 if codec == "h264" else 2] & 0x80
            if has_slice and (first or not is_slice(codec, nal)):
                self.units.append(unit)
                unit, has_slice = [], False
            unit.append(nal)
            has_slice |= is_slice(codec, nal)
            if nal_type(codec, nal) in PARAMETER_SETS[codec] and nal not in self.parameter_sets:
                self.parameter_sets.append(nal)
        self.units.append(unit)

    def slices(self):
        return [nal for unit in self.units for nal in unit if is_slice(self.codec, nal)]

    def is_key(self, unit):
        kinds = {nal_type(self.codec, nal) for nal in unit if is_slice(self.codec, nal)}
        return kinds == {5} if self.codec == "h264" else min(kinds) >= 16

    def is_intra(self, unit):
        """H.264: of I slices only."""
        return all(_slice_type(nal) % 5 == 2 for nal in unit if is_slice(self.codec, nal))

    def record(self):
        """avcC or hvcC."""
        if self.codec == "h264":
            sps, pps = self.parameter_sets[:2]
            return (b"\x01" + sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps + b"\x01" +
                    struct.pack(">H", len(pps)) + pps)
        head = bytes.fromhex("0101600000009000000000003cf000fcfdf8f800000f03")
        return head + b"".join(bytes([0x80 | nal_type("hevc", nal)]) + struct.pack(">HH", 1, len(nal)) + nal
                               for nal in self.parameter_sets[:3])


def _slice_type(nal):
    """Of H.264: the second ue(v) of the header."""
    bits, at, value = "".join(f"{byte:08b}" for byte in nal[1:12]), 0, 0
    for _ in range(2):
        zeros = bits.index("1", at) - at
        value = int(bits[at + zeros:at + 2 * zeros + 1], 2) - 1
        at += 2 * zeros + 1
    return value


_encoded = {}


def sliced_media(codec="h264", slices=4, gop=25, frames=100, more="", size=(640, 360)):
    """The sample cameras' pictures; more: further options of x264 or x265."""
    key = (codec, slices, gop, frames, more, size)
    if key not in _encoded:
        subprocess.run(["make", "-s", "-C", ROOT, "BUILD=release", "sample-cameras"], check=True,
                       stdout=subprocess.DEVNULL, timeout=300)
        drawn = subprocess.Popen([os.path.join(ROOT, "build/release/test/sample-picture"), *map(str, size),
                                  str(frames), str(frames), "8"], stdout=subprocess.PIPE)
        options = f"slices={slices}:scenecut=0:keyint={gop}:min-keyint={gop}:" + (more or "bframes=0")
        encoder = (["-c:v", "libx264", "-x264-params", options] if codec == "h264" else
                   ["-c:v", "libx265", "-x265-params", options + ":log-level=error:" + SLICES_OF_X265])
        data = subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s",
             "{}x{}".format(*size), "-r", str(FPS), "-i", "pipe:0", *encoder, "-preset", "ultrafast", "-b:v", "800k",
             "-f", codec, "-"], stdin=drawn.stdout, stdout=subprocess.PIPE, check=True, timeout=120).stdout
        drawn.stdout.close()
        assert drawn.wait() == 0
        _encoded[key] = SlicedMedia(codec, _split_annex_b(data))
        assert len(_encoded[key].units) == frames
    return _encoded[key]


# --- FLV ------------------------------------------------------------------------------------------

def flv_tag(kind, time_ms, body):
    head = bytes([kind]) + struct.pack(">I", len(body))[1:] + struct.pack(">I", time_ms & 0xFFFFFF)[1:]
    head += bytes([time_ms >> 24]) + b"\0\0\0"
    return head + body + struct.pack(">I", len(head) + len(body))


def flv_file(media, codec_id=7, per_nal=False, step_ms=0, key_flag=None, rounds=3, first=0):
    """A recording, rounds times over.

    per_nal   each NAL unit is a message of its own, step_ms after the one before
    key_flag  key_flag(unit) is the tag's; by default as it should be
    first     access unit that it begins with
    """
    is_key = key_flag or media.is_key
    out = [b"FLV\x01\x01\0\0\0\x09\0\0\0\0",
           flv_tag(9, 0, bytes([0x10 | codec_id, 0, 0, 0, 0]) + media.record())]
    for number in range(first, rounds * len(media.units)):
        unit = media.units[number % len(media.units)]
        head = bytes([(0x10 if is_key(unit) else 0x20) | codec_id, 1, 0, 0, 0])
        nals = [struct.pack(">I", len(nal)) + nal for nal in unit]
        for i, body in enumerate(nals if per_nal else [b"".join(nals)]):
            out.append(flv_tag(9, (number - first) * 1000 // FPS + i * step_ms, head + body))
    return b"".join(out)
