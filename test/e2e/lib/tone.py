"""Finds the sample cameras' tone and its bursts in PCM.

The cameras' audio is a 440 Hz tone; for 200 ms from every key frame (every 2 s) on it is 1200 Hz
instead.  The beginning of a burst belongs to the picture whose counter is a multiple of 50.
"""

import subprocess

import numpy as np

TONE_HZ = 440
BURST_HZ = 1200
BURST_SECONDS = 0.2
BURST_PERIOD_SECONDS = 2.0


def to_mono(pcm):
    """samples or samples x channels, integers or floats -> float samples within -1..1."""
    pcm = np.asarray(pcm)
    scale = np.iinfo(pcm.dtype).max if np.issubdtype(pcm.dtype, np.integer) else 1.0
    pcm = pcm.astype(np.float64) / scale
    return pcm.mean(axis=1) if pcm.ndim == 2 else pcm


def dominant_tone(pcm, rate):
    """-> (frequency in Hz, its part of the whole energy 0..1); (0.0, 0.0) for silence."""
    samples = to_mono(pcm)
    if len(samples) < 16 or np.abs(samples).max() < 1e-3:
        return 0.0, 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    spectrum[0] = 0
    peak = int(spectrum.argmax())
    near = slice(max(peak - 2, 0), peak + 3)
    # Centre of the peak: finer than the bins.
    frequency = np.average(np.arange(len(spectrum))[near], weights=spectrum[near])
    return float(frequency * rate / len(samples)), float(spectrum[near].sum() / spectrum.sum())


def tones_over_time(pcm, rate, window_s=0.05):
    """-> list of (start in seconds, frequency in Hz, part of the energy), window after window."""
    samples = to_mono(pcm)
    size = int(rate * window_s)
    return [(at / rate, *dominant_tone(samples[at:at + size], rate))
            for at in range(0, len(samples) - size + 1, size)]


def envelope(pcm, rate, frequency, window_s=0.01):
    """Amplitude of one frequency over time: one value a sample, centred windows."""
    samples = to_mono(pcm)
    carrier = samples * np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / rate)
    return 2 * np.abs(moving_average(carrier, max(int(rate * window_s), 1)))


def moving_average(values, size):
    """As np.convolve(values, np.ones(size) / size, mode="same"), in a time that does not depend on size."""
    sums = np.concatenate(([0], np.cumsum(values)))
    end = np.arange(len(values)) + 1 + (size - 1) // 2
    return (sums[np.minimum(end, len(values))] - sums[np.maximum(end - size, 0)]) / size


def find_bursts(pcm, rate, frequency=BURST_HZ, other=TONE_HZ):
    """-> list of (onset, length), in seconds from the first sample; good to about 1 ms.

    An onset is where the burst's frequency becomes stronger than the tone's; a burst that is
    already there at the first sample is left out, and so are flickers below 50 ms.
    """
    burst = envelope(pcm, rate, frequency)
    tone = envelope(pcm, rate, other)
    on = (burst > tone) & (burst > 0.05)
    edges = np.flatnonzero(np.diff(on.astype(np.int8)))
    bursts = []
    for i, edge in enumerate(edges):
        if on[edge]:
            continue
        end = edges[i + 1] if i + 1 < len(edges) else len(on) - 1
        if (end - edge) / rate >= 0.05:
            bursts.append(((edge + 1) / rate, (end - edge) / rate))
    return bursts


def find_gaps(pcm, rate, window_s=0.02, level=0.05):
    """-> list of (start, length) in seconds where there is (nearly) silence."""
    samples = np.abs(to_mono(pcm))
    size = int(rate * window_s)
    quiet = [samples[at:at + size].max() < level for at in range(0, len(samples) - size + 1, size)]
    gaps, start = [], None
    for i, is_quiet in enumerate(quiet + [False]):
        if is_quiet and start is None:
            start = i
        elif not is_quiet and start is not None:
            gaps.append((start * size / rate, (i - start) * size / rate))
            start = None
    return gaps


def decode_pcm(source, rate=48000, channels=1, input_options=(), output_options=(), data=None,
               timeout_s=60, ffmpeg="ffmpeg"):
    """Decode the audio of a URL, path or "-" with data (bytes) -> float array samples x channels."""
    command = [ffmpeg, "-v", "error", *input_options, "-i", source, "-map", "0:a:0",
               *output_options, "-ar", str(rate), "-ac", str(channels), "-f", "f32le", "-"]
    stdin = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    raw = subprocess.run(command, stdout=subprocess.PIPE, timeout=timeout_s, check=True,
                         **stdin).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels)
