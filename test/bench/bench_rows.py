#!/usr/bin/python3
"""VLC and ffplay on the sample cameras' 60 rows, each by its URL as people paste it, without any other parameter.

A row is played when ffplay has shown two seconds, and VLC 25 pictures.  Which FFmpeg and VLC: those in PATH (Debian
12's get H.264 of HEVC cameras, FFmpeg from 6.1 on untouched HEVC), and the ffplay of a Debian 13 tree
(`CAM_TRIXIE_ROOT`); X-Video-Codec tells.

    bench_rows.py [--rows 720p-H265-AAC,…] [--player ffplay]
"""
import argparse
import subprocess
import tempfile
import time

from measure import table, write  # first: it leads to lib

from lib import ffmpeg
from lib.cameras import RTMP_ROWS, RTSP_ROWS, SampleCameras
from lib.ffplay import Ffplay
from lib.gateway import Gateway
from lib.http import Viewer
from lib.vlc import Vlc

PATIENCE_S = 60


def play_in_ffplay(url):
    with Ffplay(url) as player:
        player.wait_clock(2, PATIENCE_S)


def play_in_vlc(url):
    with Vlc(url) as player:
        player.wait_displayed(25, PATIENCE_S)


def play_in_newer_ffplay(url):
    with Ffplay(url, program=("chroot", TRIXIE, "/usr/bin/ffplay")) as player:
        player.wait_clock(2, PATIENCE_S)


TRIXIE = ffmpeg.trixie_root()
PLAYERS = {"ffplay": (play_in_ffplay, "Lavf/59.27.100"), "vlc": (play_in_vlc, "VLC/3.0.21 LibVLC/3.0.21")}
if TRIXIE is not None:
    PLAYERS["ffplay-7.1"] = (play_in_newer_ffplay, "Lavf/61.7.100")


def version(player):
    command = {"ffplay": ["ffplay", "-version"], "vlc": ["dpkg-query", "-W", "-f", "VLC ${Version}\n", "vlc-bin"],
               "ffplay-7.1": ["chroot", TRIXIE, "/usr/bin/ffplay", "-version"]}
    return subprocess.run(command[player], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=30).stdout.split("\n", maxsplit=1)[0].partition(" Copyright")[0]


def attempt(gateway, player, camera):
    """"1.3 s (H.264)": when it had played that much, and the codec that such a player gets; or why not."""
    play, user_agent = PLAYERS[player]
    target = f"/?cam_url={camera}"  # as pasted, not percent-encoded
    started = time.monotonic()
    try:
        play(f"http://127.0.0.1:{gateway.flv_port}{target}")
    except AssertionError as failure:
        return f"no: {str(failure).strip().splitlines()[-1][:60]}"
    took = time.monotonic() - started
    with Viewer(gateway.flv_port, target, {"User-Agent": user_agent}) as viewer:
        viewer.wait_frames(1)
        return f"{took:.1f} s ({viewer.headers['x-video-codec']})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", help="names, with commas between; by default all 60")
    parser.add_argument("--player", choices=PLAYERS, action="append")
    args = parser.parse_args()
    players = args.player or list(PLAYERS)
    lines = []
    with SampleCameras() as cameras, tempfile.TemporaryDirectory() as folder, Gateway(folder, "") as gateway:
        rows = [(row, cameras.rtsp_url(row)) for row in RTSP_ROWS] + \
               [(f"{row} (RTMP)", cameras.rtmp_url(row)) for row in RTMP_ROWS]
        assert len(rows) == 60
        wanted = args.rows.split(",") if args.rows else None
        for row, url in rows:
            if wanted is None or row in wanted:
                lines.append([row, *(attempt(gateway, player, url) for player in players)])
                print(" | ".join(lines[-1]), flush=True)
    played = [sum(not line[at + 1].startswith("no") for line in lines) for at in range(len(players))]
    print(", ".join(f"{version(player)}: {count} of {len(lines)}" for player, count in zip(players, played)))
    write("rows", lines, table(["row", *players], lines))


if __name__ == "__main__":
    main()
