"""What a test wants to know about a recording of a sample camera: counters, times, tone, offset."""

import json
import subprocess
from dataclasses import dataclass, field

import numpy as np

from . import picture, tone

MAX_JUMP_S = 0.0021  # FLV and RTMP count in ms


@dataclass
class Recording:
    """Times in seconds, in the recording's own time line."""
    video_codec: str = ""
    width: int = 0
    height: int = 0
    audio_codec: str = ""
    sample_rate: int = 0
    channels: int = 0
    counters: list = field(default_factory=list)     # one a decoded picture; None: damaged
    video_times: list = field(default_factory=list)  # of the pictures, in the order shown
    audio_start: float = 0.0
    bursts: list = field(default_factory=list)       # onsets
    tone_hz: float = 0.0                              # between two bursts
    tone_purity: float = 0.0
    gaps: list = field(default_factory=list)         # of silence: (start, length)
    jumps: list = field(default_factory=list)        # audio times that do not follow: (at, by)

    def av_offsets(self):
        """One value per burst: how much later the sound comes than its picture (s)."""
        keys = [t for t, c in zip(self.video_times, self.counters)
                if c is not None and c % 50 == 0]
        offsets = []
        for onset in self.bursts:
            nearest = min(keys, key=lambda t: abs(t - onset), default=None)
            if nearest is not None and abs(nearest - onset) < 0.9:
                offsets.append(onset - nearest)
        return offsets


def record(url, path, seconds, input_options=(), audio="copy", timeout_s=None, ffmpeg="ffmpeg"):
    """Copy a stream into a NUT file, times as they came.

    audio: "pcm_s16le" for codecs that NUT has no tag for (G.726).
    """
    subprocess.run([ffmpeg, "-v", "error", "-nostdin", "-y", *input_options, "-copyts", "-i", url,
                    "-t", str(seconds), "-map", "0", "-c:v", "copy", "-c:a", audio, "-f", "nut", path],
                   check=True, timeout=timeout_s or seconds + 20)


def _probe(path, entries, *options):
    out = subprocess.run(["ffprobe", "-v", "error", *options, "-show_entries", entries, "-of",
                          "json", path], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return json.loads(out)


def inspect(path, timeout_s=60):
    """Decode a file -> Recording.  timeout_s: of each of the programs that read it."""
    recording = Recording()
    streams = _probe(path, "stream=codec_type,codec_name,width,height,sample_rate,channels")
    for stream in streams["streams"]:
        if stream["codec_type"] == "video":
            recording.video_codec = stream["codec_name"]
            recording.width, recording.height = stream["width"], stream["height"]
        elif stream["codec_type"] == "audio":
            recording.audio_codec = stream["codec_name"]
            recording.sample_rate = int(stream["sample_rate"])
            recording.channels = stream["channels"]
    if recording.video_codec:
        recording.counters = picture.decode_counters(path, timeout_s=timeout_s)
        packets = _probe(path, "packet=pts_time", "-select_streams", "v:0")["packets"]
        recording.video_times = sorted(float(p["pts_time"]) for p in packets)
    if recording.audio_codec:
        _inspect_audio(recording, path, timeout_s)
    return recording


def _inspect_audio(recording, path, timeout_s):
    packets = _probe(path, "packet=pts_time", "-select_streams", "a:0")["packets"]
    times = [float(p["pts_time"]) for p in packets]
    recording.audio_start = times[0]
    rate = recording.sample_rate
    pcm = tone.decode_pcm(path, rate, timeout_s=timeout_s)
    # All packets are equally long, except PCM's last.
    step = float(np.median(np.diff(times)))
    recording.jumps = [(a, b - a - step) for a, b in zip(times, times[1:])
                       if abs(b - a - step) > MAX_JUMP_S]
    recording.bursts = [recording.audio_start + onset for onset, _ in tone.find_bursts(pcm, rate)]
    recording.gaps = [(recording.audio_start + at, length) for at, length in
                      tone.find_gaps(pcm, rate) if at > 0.1]
    # The longest stretch without a burst, without the windows at its edges.
    edges = [0.0, *(b - recording.audio_start for b in recording.bursts), len(pcm) / rate]
    start, end = max(zip(edges, edges[1:]), key=lambda edge: edge[1] - edge[0])
    samples = np.asarray(pcm[int((start + 0.25) * rate):int((end - 0.25) * rate)])
    recording.tone_hz, recording.tone_purity = tone.dominant_tone(samples, rate)
