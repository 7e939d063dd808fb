"""A tone in AAC, and FLV that carries it beside pictures as publishers do, or as they should not."""
import struct
import subprocess

import numpy as np

from .fake_rtmp import PlayingRtmp
from .sliced import flv_file, flv_tag, sliced_media
from .tone import dominant_tone

TONE_HZ, RATE, FRAME = 1000, 16000, 1024
AAC_CONFIG, AAC_HEAD = b"\xae\x00\x14\x08", b"\xae\x01"


def encode_adts():
    """Some seconds of the tone: AAC frames with ADTS headers of 7 bytes."""
    data = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                           f"sine=frequency={TONE_HZ}:sample_rate={RATE}", "-t", "16", "-ac", "1", "-c:a", "aac",
                           "-b:a", "32k", "-f", "adts", "-"], check=True, stdout=subprocess.PIPE, timeout=60).stdout
    frames = []
    while data:
        size = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
        frames.append(data[:size])
        data = data[size:]
    return frames


def on_meta_data(audio_codec_id):
    """With H.264 and that sound."""
    numbers = b"".join(struct.pack(">H", len(name)) + name + b"\0" + struct.pack(">d", value)
                       for name, value in ((b"videocodecid", 7), (b"audiocodecid", audio_codec_id)))
    return flv_tag(18, 0, b"\2\0\12onMetaData\10\0\0\0\2" + numbers + b"\0\0\11")


def flv_with(frames, config, head, audio_from_ms=0, metadata=b""):
    """A recording with sound -> its header, its tags.

    frames   [(ms, frame)]
    config   body of the sequence header, or None
    head     what stands before a frame
    """
    flv = flv_file(sliced_media(slices=1), rounds=3)
    video, at = [], 13
    while at < len(flv):
        size = int.from_bytes(flv[at + 1:at + 4], "big") + 15
        video.append((int.from_bytes(flv[at + 4:at + 7], "big"), 0, flv[at:at + size]))
        at += size
    sound = [(audio_from_ms, 1, flv_tag(8, audio_from_ms, config))] if config else []
    sound += [(ms, 2, flv_tag(8, ms, head + frame)) for ms, frame in frames if audio_from_ms <= ms < video[-1][0]]
    return flv[:13], [metadata, *(tag for _, _, tag in sorted(video + sound, key=lambda t: t[:2]))]


def aac_frames(adts, headers=False):
    return [(i * FRAME * 1000 // RATE, frame if headers else frame[7:]) for i, frame in enumerate(adts)]


def camera_with(frames, config, head, audio_from_ms=0, metadata=b"", server=PlayingRtmp):
    start, tags = flv_with(frames, config, head, audio_from_ms, metadata)
    return server(start + b"".join(tags))


def rtmp_url(camera):
    return f"rtmp://127.0.0.1:{camera.port}/live/camera"


def assert_tone_in(flv, frequency=TONE_HZ, off=5, least=0.9):
    """In the last second: what begins off the beat is stretched at first."""
    frames = [frame for frame in flv.audio if frame.config is flv.audio_configs[-1]]
    pcm = subprocess.run(["ffmpeg", "-v", "error", "-f", "aac", "-i", "-", "-ac", "1", "-ar", str(RATE), "-f", "s16le",
                          "-"], input=flv.adts(frames), stdout=subprocess.PIPE, check=True, timeout=60).stdout
    samples = np.frombuffer(pcm, np.int16)[-RATE:]
    heard, purity = dominant_tone(samples, RATE)
    assert len(samples) == RATE
    assert abs(heard - frequency) < off and purity > least, (heard, purity)
