#!/usr/bin/python3
"""Encodes the sample cameras' loops, once, into build/cameras/.

A loop is what one camera track repeats for ever: 8 s (a whole number of video frames, of AAC, Opus
and 20 ms frames), one file per track so that 8 video and 6 audio loops make all 48 RTSP rows:

    720p-H264.loop  ...  AAC.loop  ...        served by rtsp_server.c
    720p-H264-AAC.mp4.flv  ...                the same bytes as FLV, published to the RTMP server

A .loop file is a text head and then the frames' bytes, back to back (H.264 and HEVC with 4-byte
lengths, AAC raw):

    sample-loop 1
    made ARGUMENTS          of ffmpeg, for sound: a loop made by others is made again
    codec H264              timescale 25            duration 200 (in timescale units)
    config HEX              avcC, hvcC or AudioSpecificConfig
    frame SIZE PTS KEY      one line per frame, in decoding order
    data

A file appears under its name only when it is complete; a file that is there is not made again.
"""

import argparse
import contextlib
import ctypes
import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import time

VERSION = "sample-loop 1"
LOOP_SECONDS = 8
FRAME_RATE = 25
KEY_SECONDS = 2
TONE = "if(lt(mod({t},2),0.2),sin(2*PI*1200*{t}),sin(2*PI*440*{t}))*0.5"

SIZES = {"720p": (1280, 720, 2000), "1080p": (1920, 1080, 4000),
         "2k": (2560, 1440, 6000), "4k": (3840, 2160, 10000)}
VIDEO_CODECS = ("H264", "H265")
AUDIO_CODECS = ("AAC", "G711A", "G711U", "G722", "G726", "OPUS")
RTMP_AUDIO_CODECS = ("AAC", "G711A", "G711U")
# CodecID; SoundFormat, rate, size and type.  12 for HEVC is no standard, but what many cameras send.
FLV_VIDEO = {"H264": 7, "H265": 12}
FLV_AUDIO = {"AAC": b"\xaf", "G711A": b"\x72", "G711U": b"\x82"}

# name: (ffmpeg encoder arguments, sample rate, channels, RTP clock rate, frame bytes or 0 when they vary)
AUDIO = {
    "AAC": ("-c:a aac -b:a 128k", 48000, 2, 48000, 0),
    "G711A": ("-c:a pcm_alaw", 8000, 1, 8000, 160),
    "G711U": ("-c:a pcm_mulaw", 8000, 1, 8000, 160),
    "G722": ("-c:a g722", 16000, 1, 16000, 160),
    "OPUS": ("-c:a libopus -b:a 64k -frame_duration 20 -application audio", 48000, 2, 48000, 0),
}
# G.726 at every rate, in both orders of bits: RFC 3551 section 4.5.4, and AAL2 (ITU-T I.366.2).
for _kbit in (32, 16, 24, 40):
    for _order, _encoder in (("", "g726le"), ("-aal2", "g726")):
        AUDIO["G726" + (f"-{_kbit}" if _kbit != 32 else "") + _order] = (
            f"-c:a {_encoder} -b:a {_kbit}k", 8000, 1, 8000, _kbit * 5 // 2)
AAC_CONFIG = "1190"  # AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3 section 1.6.2.1)
OPUS_PRESKIP = 312   # samples the encoder looks ahead at 48 kHz

# name: (size, codec, frames, extra encoder parameters); beside the eight plain loops.
VARIANTS = {
    "720p-H264-bframes": ("720p", "H264", 200, "bframes=3:b-adapt=0:b-pyramid=none"),
    "720p-H265-bframes": ("720p", "H265", 200, "bframes=3:b-adapt=0:b-pyramid=0"),
    "720p-H264-intra": ("720p", "H264", 200, "keyint=1:min-keyint=1"),
    "720p-H264-longgop": ("720p", "H264", 500, "keyint=500:min-keyint=500"),
}


def die_with_parent():
    """In a child, before exec: SIGTERM when whoever started it is gone, however that went."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def ffmpeg(arguments, stdin=subprocess.DEVNULL):
    subprocess.run(["nice", "ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], check=True,
                   stdin=stdin, preexec_fn=die_with_parent)


def write_whole(path, chunks):
    """Write to a temporary name in the same directory, then rename."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as f:
            for chunk in chunks:
                f.write(chunk)
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def write_loop(path, codec, timescale, duration, config, frames, made=None):
    """frames: list of (bytes, pts, key) in decoding order."""
    lines = [VERSION, *([f"made {made}"] if made else []), f"codec {codec}",
             f"timescale {timescale}", f"duration {duration}", f"config {config}"]
    lines += [f"frame {len(data)} {pts} {int(key)}" for data, pts, key in frames]
    lines.append("data\n")
    write_whole(path, ["\n".join(lines).encode(), *(data for data, _, _ in frames)])


def read_loop(path):
    """-> dict codec, timescale, duration, config, frames as in write_loop()."""
    with open(path, "rb") as f:
        blob = f.read()
    head, _, data = blob.partition(b"\ndata\n")
    loop, frames, at = {}, [], 0
    for line in head.decode().splitlines()[1:]:
        word, _, rest = line.partition(" ")
        if word == "frame":
            size, pts, key = map(int, rest.split())
            frames.append((data[at:at + size], pts, bool(key)))
            at += size
        else:
            loop[word] = rest
    return {"codec": loop["codec"], "timescale": int(loop["timescale"]),
            "duration": int(loop["duration"]), "config": bytes.fromhex(loop["config"]),
            "frames": frames}


def is_current(path):
    if path.endswith(".flv"):
        video, _, audio = path[:-len(".mp4.flv")].rpartition("-")
        sources = (f"{video}.loop", os.path.join(os.path.dirname(path), f"{audio}.loop"))
        return (os.path.exists(path) and all(map(is_current, sources)) and
                os.path.getmtime(path) >= max(map(os.path.getmtime, sources)))
    codec = os.path.basename(path)[:-len(".loop")]
    try:
        with open(path, "rb") as f:
            if f.readline().decode().strip() != VERSION:
                return False
            return codec not in AUDIO or f.readline().decode().strip() == f"made {made_by(codec)}"
    except FileNotFoundError:
        return False


def read_packets(source, stream, work):
    """Packets of one stream of a media file -> list of (bytes, dts, pts, key), in its time base."""
    data_path, table_path = f"{work}.data", f"{work}.table"
    ffmpeg(["-i", source, "-map", f"0:{stream}", "-c", "copy", "-f", "data", data_path,
            "-map", f"0:{stream}", "-c", "copy", "-f", "framecrc", table_path])
    with open(data_path, "rb") as f:
        data = f.read()
    packets, at = [], 0
    with open(table_path, encoding="ascii") as f:
        for line in f:
            if line.startswith("#"):
                continue
            fields = [field.strip() for field in line.split(",")]
            size = int(fields[4])
            flags = next((int(x[2:], 16) for x in fields if x.startswith("F=")), 1)
            packets.append((data[at:at + size], int(fields[1]), int(fields[2]), bool(flags & 1)))
            at += size
    os.unlink(data_path)
    os.unlink(table_path)
    return packets


def mp4_config(path, codec):
    """Payload of the avcC or hvcC box."""
    with open(path, "rb") as f:
        blob = f.read()
    at = blob.rindex(b"avcC" if codec == "H264" else b"hvcC")
    size = struct.unpack(">I", blob[at - 4:at])[0]
    return blob[at + 4:at - 4 + size]


def encode_video(picture, path, size, codec, frames, extra):
    width, height, rate = SIZES[size]
    gop = f"keyint={FRAME_RATE * KEY_SECONDS}:min-keyint={FRAME_RATE * KEY_SECONDS}"
    common = f"{gop}:scenecut=0:open-gop=0:bframes=0:info=0:ipratio=1.1:{extra}".rstrip(":")
    if codec == "H264":
        preset = "ultrafast" if size == "4k" else "veryfast"
        encoder = ["-c:v", "libx264", "-preset", preset, "-profile:v", "high",
                   "-x264-params", common]
    else:
        encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
                   "-x265-params", f"log-level=error:{common}"]
    work = f"{path}.{os.getpid()}"
    source = subprocess.Popen(["nice", picture, str(width), str(height), str(frames), str(frames),
                               "8"], stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        # The buffer bounds a key frame: one that is sent in a single burst must fit a UDP socket.
        ffmpeg(["-f", "rawvideo", "-s", f"{width}x{height}", "-r", str(FRAME_RATE), "-i", "-",
                *encoder, "-b:v", f"{rate}k", "-maxrate", f"{rate * 5 // 4}k",
                "-bufsize", f"{rate // 4}k", "-video_track_timescale", "12800", f"{work}.mp4"],
               stdin=source.stdout)
        source.stdout.close()
        if source.wait() != 0:
            raise RuntimeError(f"{picture} failed")
        packets = read_packets(f"{work}.mp4", "v", work)
        config = mp4_config(f"{work}.mp4", codec)
    finally:
        source.stdout.close()
        source.kill()
        source.wait()
        for name in (f"{work}.mp4", f"{work}.data", f"{work}.table"):
            if os.path.exists(name):
                os.unlink(name)
    first = min(pts for _, _, pts, _ in packets)
    # framecrc of MP4 counts in 1/12800 s.
    unit = 12800 // FRAME_RATE
    rows = [(data, (pts - first) // unit, key) for data, _, pts, key in packets]
    if len(rows) != frames or sorted(r[1] for r in rows) != list(range(frames)):
        raise RuntimeError(f"{path}: {len(rows)} frames, wanted {frames}")
    write_loop(path, codec, FRAME_RATE, frames, config.hex(), rows)


def audio_arguments(codec):
    """What ffmpeg makes the sound from, and how it encodes it."""
    encoder, rate, channels, _, _ = AUDIO[codec]
    # Opus: start later by what the encoder looks ahead, so that frames begin on whole 20 ms.
    tone = TONE.format(t=f"(t+{OPUS_PRESKIP}/48000)" if codec == "OPUS" else "t")
    expression = "|".join([tone.replace(",", "\\,")] * channels)
    return ["-f", "lavfi", "-i", f"aevalsrc=exprs={expression}:s={rate}:d={3 * LOOP_SECONDS}",
            *encoder.split()]


def made_by(codec):
    return " ".join(audio_arguments(codec))


def encode_audio(path, codec):
    """Encodes three loops and keeps the middle one, so that the seam is like any other frame."""
    _, _, _, clock, frame_bytes = AUDIO[codec]
    work = f"{path}.{os.getpid()}"
    container = "g722" if codec == "G722" else "data"
    duration = LOOP_SECONDS * clock
    try:
        if frame_bytes:
            ffmpeg([*audio_arguments(codec), "-map", "0:a", "-f", container, f"{work}.raw"])
            with open(f"{work}.raw", "rb") as f:
                raw = f.read()
            length = LOOP_SECONDS * 50 * frame_bytes
            raw = raw[length:2 * length]
            samples = clock // 50
            rows = [(raw[i * frame_bytes:(i + 1) * frame_bytes], i * samples, True)
                    for i in range(LOOP_SECONDS * 50)]
        else:
            ffmpeg([*audio_arguments(codec), "-flags", "+bitexact", f"{work}.mka"])
            rows = read_audio_rows(work, codec, duration)
    finally:
        for name in (f"{work}.raw", f"{work}.mka"):
            if os.path.exists(name):
                os.unlink(name)
    config = AAC_CONFIG if codec == "AAC" else ""
    write_loop(path, codec.partition("-")[0], clock, duration, config, rows, made_by(codec))


def read_audio_rows(work, codec, duration):
    """The packets of the middle loop, on exact frame boundaries.

    Matroska keeps milliseconds only, so packets are counted instead: packet n of AAC holds the
    samples from (n - 1) * 1024 on (one frame of priming), packet n of Opus those from n * 960 on
    (the signal was shifted by the pre-skip).
    """
    samples, primed = (1024, 1) if codec == "AAC" else (960, 0)
    packets = read_packets(f"{work}.mka", "a", work)
    count = duration // samples
    middle = packets[primed + count:primed + 2 * count]
    if len(middle) != count:
        raise RuntimeError(f"{codec}: {len(packets)} packets are too few")
    return [(packet[0], i * samples, True) for i, packet in enumerate(middle)]


# --- FLV (Adobe Flash Video File Format 10.1, annex E) ---------------------------------

def flv_tag(kind, time_ms, body):
    head = struct.pack(">I", kind << 24 | len(body)) + struct.pack(">I", (time_ms & 0xffffff) << 8 |
                                                                   time_ms >> 24)
    tag = head + b"\0\0\0" + body
    return tag + struct.pack(">I", len(tag))


def flv_metadata(width, height, video_id, audio_id):
    def number(name, value):
        return struct.pack(">H", len(name)) + name.encode() + b"\0" + struct.pack(">d", value)

    values = {"duration": LOOP_SECONDS, "width": width, "height": height,
              "framerate": FRAME_RATE, "videocodecid": video_id, "audiocodecid": audio_id}
    body = b"\x02\0\x0aonMetaData\x08" + struct.pack(">I", len(values))
    body += b"".join(number(name, value) for name, value in values.items()) + b"\0\0\x09"
    return flv_tag(18, 0, body)


def flv_head(video, audio, size):
    """File header, metadata and sequence headers."""
    width, height, _ = SIZES[size]
    codec_id = FLV_VIDEO[video["codec"]]
    head = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
    head += flv_metadata(width, height, codec_id, FLV_AUDIO[audio["codec"]][0] >> 4)
    head += flv_tag(9, 0, bytes([0x10 | codec_id, 0, 0, 0, 0]) + video["config"])
    if audio["codec"] == "AAC":
        head += flv_tag(8, 0, FLV_AUDIO["AAC"] + b"\0" + audio["config"])
    return head


def flv_tags(video, audio, begin_ms=0):
    """One round of the loop -> [(time in ms, tag)] in the order in which they are sent."""
    codec_id = FLV_VIDEO[video["codec"]]
    audio_head = FLV_AUDIO[audio["codec"]] + (b"\x01" if audio["codec"] == "AAC" else b"")
    tags = []
    for order, (data, pts, key) in enumerate(video["frames"]):
        time_ms = begin_ms + pts * 1000 // FRAME_RATE
        head = bytes([(0x10 if key else 0x20) | codec_id, 1, 0, 0, 0])
        tags.append((time_ms, 0, order, flv_tag(9, time_ms, head + data)))
    for order, (data, pts, _) in enumerate(audio["frames"]):
        time_ms = begin_ms + (pts * 1000 + audio["timescale"] // 2) // audio["timescale"]
        tags.append((time_ms, 1, order, flv_tag(8, time_ms, audio_head + data)))
    return [(time_ms, tag) for time_ms, _, _, tag in sorted(tags)]


def write_flv(path, video, audio, size):
    write_whole(path, [flv_head(video, audio, size), *(tag for _, tag in flv_tags(video, audio))])


# --- what to make ---------------------------------------------------------------------

def plan(sizes):
    """-> list of (file name, function that makes it at a path); usable rows first."""
    def audio(codec):
        return f"{codec}.loop", lambda path, picture: encode_audio(path, codec)

    def video(name, size, codec, frames, extra):
        return f"{name}.loop", lambda path, picture: encode_video(picture, path, size, codec,
                                                                  frames, extra)

    def flv(size, codec):
        def make(path, picture):
            folder = os.path.dirname(path)
            write_flv(path, read_loop(f"{folder}/{size}-H264.loop"),
                      read_loop(f"{folder}/{codec}.loop"), size)
        return f"{size}-H264-{codec}.mp4.flv", make

    steps = [audio(codec) for codec in AUDIO]
    for size in SIZES:
        if size not in sizes:
            continue
        for codec in VIDEO_CODECS:
            steps.append(video(f"{size}-{codec}", size, codec, LOOP_SECONDS * FRAME_RATE, ""))
        steps += [flv(size, codec) for codec in RTMP_AUDIO_CODECS]
        steps += [video(name, *rest) for name, rest in VARIANTS.items() if rest[0] == size]
    return steps


@contextlib.contextmanager
def only_builder(folder):
    """Nobody else encodes meanwhile: several at a time would take turns on the same cores."""
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(folder):
            if re.search(r"\.\d+\.(tmp|mp4|data|table|raw|mka)$", name):
                os.unlink(os.path.join(folder, name))  # of a builder that was killed
        yield


def build(folder, picture, sizes=tuple(SIZES), say=lambda text: None):
    """Make what is missing in folder, one file at a time; other builders may make some of them."""
    os.makedirs(folder, exist_ok=True)
    todo = [(os.path.join(folder, name), make) for name, make in plan(sizes)]
    todo = [(path, make) for path, make in todo if not is_current(path)]
    started = time.monotonic()
    for number, (path, make) in enumerate(todo, 1):
        with only_builder(folder):
            if not is_current(path):
                say(f"sample cameras: encoding {os.path.basename(path)} ({number} of {len(todo)})")
                make(path, picture)
    if todo:
        say(f"sample cameras: encoded in {time.monotonic() - started:.0f} s")


def main():
    parser = argparse.ArgumentParser(description="encode the sample cameras' loops")
    parser.add_argument("--out", required=True)
    parser.add_argument("--picture", required=True, help="the sample-picture program")
    parser.add_argument("--sizes", default=",".join(SIZES))
    options = parser.parse_args()
    build(options.out, options.picture, options.sizes.split(","),
          lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
