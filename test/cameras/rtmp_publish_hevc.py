#!/usr/bin/python3
"""Publishes an HEVC loop to an RTMP server, endlessly and in live time.

    rtmp_publish_hevc.py FOLDER rtmp://HOST:PORT/APP SIZE-H265-AUDIO.mp4 PLAYPATH

FFmpeg 5.1 has no HEVC in its FLV muxer.  So the tags are written here, and ffmpeg only carries them: its RTMP protocol
takes FLV bytes.  While ffmpeg connects it reads next to nothing, so the camera's time begins when the first key frame
has gone through the pipe, which is kept small: a camera does not send what it saw before somebody asked.
"""
import fcntl
import subprocess
import sys
import time

import loops

PIPE_BYTES = 4096
KEY_FRAME_BYTES = 8192  # tags of sound are smaller


def main():
    folder, server, name, playpath = sys.argv[1:]
    size, codec, audio_codec = name.removesuffix(".mp4").split("-")
    video = loops.read_loop(f"{folder}/{size}-{codec}.loop")
    audio = loops.read_loop(f"{folder}/{audio_codec}.loop")
    with subprocess.Popen(["ffmpeg", "-v", "error", "-probesize", "32", "-analyzeduration", "0", "-f", "data", "-i", "pipe:0", "-map", "0", "-c", "copy",
                           "-rtmp_playpath", playpath, "-f", "data", server],
                          stdin=subprocess.PIPE, preexec_fn=loops.die_with_parent) as ffmpeg:
        fcntl.fcntl(ffmpeg.stdin, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        ffmpeg.stdin.write(loops.flv_head(video, audio, size))
        started, begin_ms = None, 0
        while True:
            for time_ms, tag in loops.flv_tags(video, audio, begin_ms):
                if started is not None:
                    time.sleep(max(0, started + time_ms / 1000 - time.monotonic()))
                ffmpeg.stdin.write(tag)
                ffmpeg.stdin.flush()
                if started is None and len(tag) > KEY_FRAME_BYTES:
                    started = time.monotonic() - time_ms / 1000
            begin_ms += loops.LOOP_SECONDS * 1000


if __name__ == "__main__":
    main()
