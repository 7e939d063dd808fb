"""The reader that judges the gateway's output: it accepts what ffmpeg writes and refuses every violation."""
import struct
import subprocess

import pytest

from lib import flv


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("flv") / "sample.flv"
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f",
                    "lavfi", "-i", "sine=440:sample_rate=44100", "-t", "2", "-c:v", "libx264", "-g", "25", "-bf", "2",
                    "-c:a", "aac", "-flvflags", "no_sequence_end+no_duration_filesize", str(path)],
                   check=True, timeout=60)
    return path.read_bytes()


def tag(kind, timestamp, body, previous=None):
    head = bytes([kind]) + struct.pack(">I", len(body))[1:] + struct.pack(">I", timestamp)[1:]
    head += bytes([timestamp >> 24]) + b"\0\0\0"
    return head + body + struct.pack(">I", 11 + len(body) if previous is None else previous)


HEADER = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
SPS, PPS = bytes([0x67, 0x42, 0, 0x1F, 0x80]), bytes([0x68, 0xCE, 0x3C, 0x80])
AVCC = (b"\x01\x42\x00\x1f\xff\xe1" + struct.pack(">H", len(SPS)) + SPS + b"\x01" + struct.pack(">H", len(PPS))
        + PPS)
METADATA = b"\x02\0\x0aonMetaData\x08\0\0\0\x01\0\x05width" + b"\0" + struct.pack(">d", 640) + b"\0\0\x09"
START = (HEADER + tag(18, 0, METADATA) + tag(9, 0, b"\x17\0\0\0\0" + AVCC) + tag(8, 0, b"\xaf\0\x12\x08"))
KEY = b"\x17\x01\0\0\0" + struct.pack(">I", 4) + b"\x65abc"
INTER = b"\x27\x01\0\0\x28" + struct.pack(">I", 4) + b"\x41abc"


def test_reads_what_ffmpeg_writes(sample):
    reader = flv.parse(sample)
    assert reader.rest == 0 and reader.has_audio and reader.has_video
    assert len(reader.video) == 50 and 86 <= len(reader.audio) <= 90
    assert reader.metadata["width"] == 160 and reader.metadata["framerate"] == 25
    assert sum(f.key for f in reader.video) == 2
    assert len({f.cts for f in reader.video}) > 1
    assert (reader.audio_configs[0].rate, reader.audio_configs[0].channels) == (44100, 1)
    assert abs(reader.frame_rate() - 25) < 0.1
    decoded = subprocess.run(["ffmpeg", "-v", "error", "-f", "h264", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray",
                              "-"], input=reader.annex_b(), capture_output=True, check=True, timeout=60)
    assert len(decoded.stdout) == 50 * 160 * 90 and not decoded.stderr
    decoded = subprocess.run(["ffmpeg", "-v", "error", "-f", "aac", "-i", "-", "-f", "s16le", "-"],
                             input=reader.adts(), capture_output=True, check=True, timeout=60)
    assert len(decoded.stdout) == len(reader.audio) * 1024 * 2 and not decoded.stderr


def test_reads_byte_by_byte(sample):
    whole, slow = flv.parse(sample), flv.FlvReader()
    for at in range(0, len(sample)):
        slow.feed(sample[at:at + 1])
    assert [f.data for f in slow.video] == [f.data for f in whole.video]


def test_own_sample_is_good():
    reader = flv.parse(START + tag(9, 0, KEY) + tag(9, 0x1000010, INTER))
    reader.check()
    assert [(f.dts, f.cts, f.key) for f in reader.video] == [(0, 0, True), (0x1000010, 40, False)]
    assert reader.video[1].pts == 0x1000010 + 40


@pytest.mark.parametrize("data", [
    b"FLX" + HEADER[3:], b"FLV\x02" + HEADER[4:], b"FLV\x01\x15" + HEADER[5:], HEADER[:9] + b"\0\0\0\1",
    HEADER + tag(7, 0, b"x"),
    HEADER + tag(18, 0, METADATA, previous=5),
    HEADER + tag(18, 0, METADATA[:-3]),
    HEADER + tag(18, 0, METADATA.replace(b"\x08\0\0\0\x01", b"\x08\0\0\0\x02")),
    HEADER + tag(9, 0, KEY),
    HEADER + tag(9, 0, b"\x17\0\0\0\0" + AVCC[:-1]),
    HEADER + tag(9, 0, b"\x17\0\0\0\0" + AVCC[:5] + b"\xe0" + AVCC[6:]),
    START + tag(8, 0, b"\xaf\x02x"),
    START + tag(8, 0, b"\x2f\x01x"),
    START + tag(9, 0, b"\x1c\x01\0\0\0" + KEY[5:]),
    START + tag(9, 0, b"\x91avc1" + KEY[5:]),
    HEADER[:4] + b"\x01" + HEADER[5:] + tag(8, 0, b"\xaf\0\x12\x08"),
    HEADER + tag(8, 0, b"\xaf\0\x17\x88"),
])
def test_refuses_broken_framing(data):
    with pytest.raises(flv.FlvError):
        flv.parse(data)


@pytest.mark.parametrize("data", [
    START[:13] + tag(18, 5, METADATA) + tag(9, 0, b"\x17\0\0\0\0" + AVCC) + tag(8, 0, b"\xaf\0\x12\x08"),
    HEADER + tag(18, 0, METADATA) + tag(9, 0, b"\x17\0\0\0\0" + AVCC) + tag(9, 0, KEY),
    START + tag(9, 0, INTER),
    START + tag(8, 0, b"\xaf\x01x") + tag(9, 0, KEY),
    START + tag(9, 40, KEY) + tag(9, 39, INTER),
    START + tag(9, 40, KEY) + tag(8, 50, b"\xaf\x01x") + tag(8, 49, b"\xaf\x01x"),
    START + tag(9, 0, b"\x17\x01\0\0\0" + INTER[5:]),
    START + tag(9, 0, KEY) + tag(9, 0, b"\x17\0\0\0\0" + AVCC),
    START + tag(18, 0, METADATA),
])
def test_refuses_what_players_cannot_take(data):
    reader = flv.parse(data)
    with pytest.raises(flv.FlvError):
        reader.check()


def test_refuses_wrong_nal_length():
    reader = flv.parse(START + tag(9, 0, KEY[:8] + b"\x05" + KEY[9:]))
    with pytest.raises(flv.FlvError):
        reader.video[0].nal_units()
