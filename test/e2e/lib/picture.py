"""Reads the frame counter that the sample cameras draw into every picture.

The layout is test/cameras/picture.c's: a grid of 20 columns and 18 rows; the counter stands in
rows 0 and 1 (inverted) and again in rows 16 and 17: white, black, 16 bits, even parity, inverted
parity.  A counter counts only when all four rows agree: a frame put together from two others, or
smeared by a lost packet, reads as None.
"""

import subprocess

import numpy as np

COLUMNS = 20
ROWS = 18
COUNTER_BITS = 16
STRIP_ROWS = (0, 1, 16, 17)
# The difference between a white and a black cell is 219 when nothing went wrong.
MIN_CONTRAST = 80
LOOP_FRAMES = 200  # of the plain loops; "longgop" has 500
FRAME_RATE = 25


def _cell_means(luma, row):
    """Mean of the middle half of each cell of a grid row -> array of COLUMNS values."""
    height, width = luma.shape
    top, bottom = row * height / ROWS, (row + 1) * height / ROWS
    quarter = (bottom - top) / 4
    band = luma[int(np.ceil(top + quarter)):max(int(bottom - quarter), int(np.ceil(top + quarter)) + 1)]
    columns = band.mean(axis=0)
    cell = width / COLUMNS
    return np.array([columns[int(np.ceil((i + 0.25) * cell)):
                             max(int((i + 0.75) * cell), int(np.ceil((i + 0.25) * cell)) + 1)].mean()
                     for i in range(COLUMNS)])


def _luma(picture):
    picture = np.asarray(picture)
    if picture.ndim == 3:
        return picture[..., :3].astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    return picture.astype(np.float32)


def read_counter(picture):
    """-> the counter (0..65535), or None when the picture is damaged or not a sample camera's.

    picture: array of height x width (grey) or height x width x 3 or 4 (RGB, RGBA), at any scale
    from about 160 pixels of width on.
    """
    luma = _luma(picture)
    if luma.shape[0] < 2 * ROWS or luma.shape[1] < 4 * COLUMNS:
        return None
    values = set()
    for row in STRIP_ROWS[::2]:
        difference = _cell_means(luma, row) - _cell_means(luma, row + 1)
        if np.abs(difference).min() < MIN_CONTRAST:
            return None
        cells = [int(d > 0) for d in difference]
        bits, parity = cells[2:2 + COUNTER_BITS], cells[2 + COUNTER_BITS]
        if cells[:2] != [1, 0] or sum(bits) % 2 != parity or cells[-1] == parity:
            return None
        values.add(int("".join(map(str, bits)), 2))
    return values.pop() if len(values) == 1 else None


def is_consecutive(counters, period=LOOP_FRAMES):
    """Is every counter there and the follower of the one before, across the loop's seam too?"""
    return (len(counters) > 1 and None not in counters and
            all(b == (a + 1) % period for a, b in zip(counters, counters[1:])))


def describe_breaks(counters, period=LOOP_FRAMES):
    """-> list of texts, one for each place where counters are not consecutive; for assertions."""
    texts = []
    for i, (a, b) in enumerate(zip(counters, counters[1:]), 1):
        if a is None or b is None or b != (a + 1) % period:
            texts.append(f"frame {i}: {a} then {b}")
    return texts


def decode_frames(source, width=320, height=180, input_options=(), output_options=(), data=None,
                  timeout_s=60, ffmpeg="ffmpeg"):
    """Decode with ffmpeg -> list of grey pictures (height x width, uint8), none dropped or doubled.

    source: a URL or path, or "-" with data (bytes).  input_options stand before -i (for example
    ("-rtsp_transport", "tcp")), output_options after it (for example ("-t", "10")).
    """
    command = [ffmpeg, "-v", "error", *input_options, "-i", source, "-map", "0:v:0",
               *output_options, "-vf", f"scale={width}:{height}:flags=area", "-fps_mode",
               "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    stdin = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
    raw = subprocess.run(command, stdout=subprocess.PIPE, timeout=timeout_s, check=True,
                         **stdin).stdout
    size = width * height
    return [np.frombuffer(raw, np.uint8, size, at).reshape(height, width)
            for at in range(0, len(raw) - size + 1, size)]


def decode_counters(source, **options):
    """-> list of counters (None: damaged) of a stream or file; options as of decode_frames()."""
    return [read_counter(frame) for frame in decode_frames(source, **options)]


def read_jpeg(data, ffmpeg="ffmpeg"):
    """A JPEG (bytes) -> RGB picture at its own size."""
    result = subprocess.run([ffmpeg, "-v", "error", "-f", "image2pipe", "-c:v", "mjpeg", "-i", "-",
                             "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-"],
                            input=data, stdout=subprocess.PIPE, check=True, timeout=30)
    magic, size, depth, pixels = result.stdout.split(b"\n", 3)
    if magic != b"P6" or depth != b"255":
        raise ValueError("not an 8-bit picture")
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
