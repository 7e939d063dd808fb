"""The readers of picture and tone can say no: otherwise no test that uses them means anything."""
import subprocess
import os

import numpy as np
import pytest

from lib import cameras, picture, tone

PICTURE = os.path.join(cameras.ROOT, "build", "release", "test", "sample-picture")
WIDTH, HEIGHT = 320, 180


@pytest.fixture(scope="module")
def pictures():
    """Frames 0, 1, 2 as grey pictures, as the sample cameras' encoder gets them."""
    if not os.path.exists(PICTURE):
        subprocess.run(["make", "-s", "-C", cameras.ROOT, "BUILD=release", "sample-cameras"], check=True)
    raw = subprocess.run([PICTURE, str(WIDTH), str(HEIGHT), "3", "3", "8"], stdout=subprocess.PIPE, check=True).stdout
    size = WIDTH * HEIGHT * 3 // 2
    return [np.frombuffer(raw, np.uint8, WIDTH * HEIGHT, n * size).reshape(HEIGHT, WIDTH).copy() for n in range(3)]


def test_counters_of_whole_pictures(pictures):
    assert [picture.read_counter(p) for p in pictures] == [0, 1, 2]
    rgb = np.repeat(pictures[2][:, :, None], 3, axis=2)
    assert picture.read_counter(rgb) == 2


def test_damaged_pictures_have_no_counter(pictures):
    first, second, third = pictures
    mixed = np.vstack([first[:HEIGHT // 2], second[HEIGHT // 2:]])
    assert picture.read_counter(mixed) is None
    one_bit = first.copy()  # the last bit of both strips: parity does not fit
    cell = WIDTH // picture.COLUMNS
    one_bit[:, 17 * cell:18 * cell] = second[:, 17 * cell:18 * cell]
    assert picture.read_counter(one_bit) is None
    smeared = third.copy()
    smeared[:HEIGHT // 9, WIDTH // 2:] = 128
    assert picture.read_counter(smeared) is None
    assert picture.read_counter(first // 4) is None
    assert picture.read_counter(np.zeros((HEIGHT, WIDTH))) is None
    assert picture.read_counter(first[:20, :40]) is None


def test_consecutive_counters():
    assert picture.is_consecutive([198, 199, 0, 1])
    for broken in ([1, 3], [1, 1], [1, None, 3], [2, 1], [7]):
        assert not picture.is_consecutive(broken)
    assert picture.describe_breaks([1, 2, 4]) == ["frame 2: 2 then 4"]


def signal(rate, seconds, burst_at):
    t = np.arange(int(rate * seconds)) / rate
    in_burst = (t >= burst_at) & (t < burst_at + tone.BURST_SECONDS)
    return 0.5 * np.sin(2 * np.pi * np.where(in_burst, tone.BURST_HZ, tone.TONE_HZ) * t)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("burst_at", [0.3, 1.0, 1.2345])
def test_burst_onset(rate, burst_at):
    bursts = tone.find_bursts(signal(rate, 2, burst_at), rate)
    assert len(bursts) == 1
    assert bursts[0] == (pytest.approx(burst_at, abs=0.002), pytest.approx(tone.BURST_SECONDS, abs=0.004))


def test_no_burst_in_silence_noise_or_a_click():
    rate = 8000
    assert tone.find_bursts(np.zeros(rate), rate) == []
    assert tone.find_bursts(signal(rate, 1, 5), rate) == []
    click = signal(rate, 1, 5)
    click[4000:4100] = signal(rate, 1, 0)[4000:4100]
    assert tone.find_bursts(click, rate) == []


def test_dominant_tone_and_gaps():
    rate = 48000
    samples = signal(rate, 1, 5)
    frequency, purity = tone.dominant_tone(samples, rate)
    assert frequency == pytest.approx(440, abs=1) and purity > 0.99
    assert tone.find_gaps(samples, rate) == []
    samples[24000:28800] = 0
    assert tone.find_gaps(samples, rate) == [(pytest.approx(0.5, abs=0.02), pytest.approx(0.1, abs=0.03))]
    assert tone.dominant_tone(np.zeros(rate), rate) == (0.0, 0.0)
