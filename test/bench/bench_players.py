#!/usr/bin/python3
"""make bench: players that join a camera in the middle of a long GOP, and that live through its reboot: mpegts.js and
flv.js in Chromium, ffplay, VLC.  Tables on stdout and in build/bench/.

The camera counts its pictures, so what a browser shows can be compared with what is being sent.  ffplay and VLC have no
display here: ffplay is judged by its clock, VLC by its counters.
"""
import argparse
import contextlib
import socket
import tempfile
import threading
import time
import urllib.parse

from measure import QUICK_IDLE, table, write  # first: it leads to lib

from lib import fake_rtsp, http
from lib.browser import Browser
from lib.ffplay import Ffplay
from lib.flv import FlvReader
from lib.gateway import Gateway
from lib.picture import read_counter
from lib.player_page import PlayerPage
from lib.vlc import Vlc
from lib.wait import wait_for

GOP_S, JOIN_S = 10, 8
GOP = GOP_S * fake_rtsp.FPS
STREAMS = {"no sound": (0, False), "sound": (0, True), "sound, B-frames": (2, True)}
LOOKS_MS = (300, 500, 700, 1000, 2000, 5000, 10000, 19000)
STEADY_S, PLAY_S = 3, 20
BROWSER_PLAYERS = {"mpegts.js": ("mpegts.js", {"enableStashBuffer": False}), "mpegts.js, its defaults": ("mpegts.js", {}),
                   "flv.js": ("flv.js", {"enableStashBuffer": False})}


def wait_for_join_time(camera):
    def gop_age():
        return (time.monotonic() - camera.began) % GOP_S
    wait_for(lambda: JOIN_S <= gop_age() < JOIN_S + 1, 60, "the GOP to be old enough", 0.01)


def counter_behind_ms(camera, at, counter):
    """How much older than what the camera was sending at time.monotonic() the picture is."""
    return ((at - camera.began) * fake_rtsp.FPS - counter) % len(camera.video.units) * 1000 / fake_rtsp.FPS


def behind_ms(camera, at, grey):
    """The same at time.time(), None without a counter in the picture."""
    counter = read_counter(grey)
    return None if counter is None else counter_behind_ms(camera, at - (time.time() - time.monotonic()), counter)


def longest_step(times):
    return max((b - a for a, b in zip(times, times[1:])), default=float("nan")) * 1000


def in_browser(browser, library, config, camera, url):
    with PlayerPage(browser, library) as page:
        wait_for_join_time(camera)
        page.play(url, LOOKS_MS, **config)
        behind = [behind_ms(camera, *look) for look in page.wait_looks(len(LOOKS_MS))]
        steady = [at for at, _ in page.shown() if at > page.asked() + STEADY_S]
        return {"behind_ms": dict(zip(LOOKS_MS, behind)), "freeze_ms": longest_step(steady),
                "pictures_per_second": len(steady) / (steady[-1] - steady[0]), "errors": page.errors()}


class Tap:
    """with Tap(url) as tap: what one player asks of tap.url, and gets from url; parsed on the way, into tap.flv."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.flv, self._port = FlvReader(), parts.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = parts._replace(netloc=f"127.0.0.1:{self._listener.getsockname()[1]}").geturl()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _run(self):
        with contextlib.suppress(OSError), self._listener.accept()[0] as player, http.connect(self._port) as server:
            server.sendall(player.recv(65536))
            data = server.recv(65536)
            while b"\r\n\r\n" not in data and (more := server.recv(65536)):
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            player.sendall(head + b"\r\n\r\n")
            while data:
                player.sendall(data)
                self.flv.feed(data, time.monotonic())
                data = server.recv(262144)


def shown_at(camera, flv, ms):
    """The counter of the picture that is shown at a time of the stream."""
    newest = max((f for f in flv.video if f.pts <= ms), key=lambda f: f.pts)
    place = camera.video.slices().index(newest.pictures()[0])
    return place if camera.video.shown is None else camera.video.shown[place]


def in_ffplay(camera, url, *options):
    wait_for_join_time(camera)
    with Tap(url) as tap, Ffplay(tap.url, *options) as player:
        time.sleep(PLAY_S)
        samples, ended = player.samples, player.process.poll() is not None
    behind = {}
    for ms in LOOKS_MS:
        later = [s for s in samples if s.at - player.asked >= ms / 1000]
        at_once = later and later[0].at - player.asked < ms / 1000 + 0.2
        behind[ms] = counter_behind_ms(camera, later[0].at, shown_at(camera, tap.flv, later[0].clock_s * 1000)) \
            if at_once else None
    steady = [s for s in samples if s.at > player.asked + STEADY_S]
    moved = [a.at for a, b in zip(steady, steady[1:]) if b.clock_s > a.clock_s]
    return {"behind_ms": behind, "freeze_ms": longest_step(moved), "errors": ended * [player.text],
            "sound_apart_ms": max(abs(s.behind_sound_s) for s in steady) * 1000}


def in_vlc(camera, url):
    wait_for_join_time(camera)
    with Vlc(url) as player:
        time.sleep(STEADY_S)
        player.statistics()
        time.sleep(0.5)
        begun, at = player.statistics(), time.monotonic()
        time.sleep(PLAY_S - STEADY_S)
        player.statistics()
        time.sleep(0.5)
        ended, took = player.statistics(), time.monotonic() - at
    # Its counter of pictures decoded counts two for each.
    return {"pictures_per_second": (ended["frames displayed"] - begun["frames displayed"]) / took,
            "lost": ended["frames lost"], "sound_lost": ended.get("buffers lost", 0)}


def players(browser):
    """name -> function(camera, url)"""
    found = {name: lambda camera, url, how=how: in_browser(browser, *how, camera, url)
             for name, how in BROWSER_PLAYERS.items()}
    found["ffplay"] = in_ffplay
    found["ffplay -fflags nobuffer"] = lambda camera, url: in_ffplay(camera, url, "-fflags", "nobuffer")
    found["VLC"] = in_vlc
    return found


def bench_join(browser, directory, wanted):
    """wanted: one player, or "" for all; half a minute for each player and stream."""
    result = {}
    for stream, (bframes, sound) in STREAMS.items():
        media = fake_rtsp.counting_media(GOP, bframes)
        with fake_rtsp.FakeCamera(media, audio=sound) as camera, \
                Gateway(directory, QUICK_IDLE, log_level="warn") as gateway, gateway.view(camera.url()) as viewer:
            viewer.wait_frames(5)
            for player, play in players(browser).items():
                if wanted in ("", player):
                    result[f"{player}, {stream}"] = play(camera, gateway.url(camera.url()))
            how = BROWSER_PLAYERS["mpegts.js"]
            result[f"mpegts.js, {stream}, join=gop"] = in_browser(browser, *how, camera,
                                                                gateway.url(camera.url(), join="gop"))
    return result


def join_text(r):
    def number(value):
        return "" if value is None else f"{value:.0f}"
    rows = []
    for name, v in r.items():
        behind = v.get("behind_ms", {})
        rows.append((name, *(number(behind.get(ms)) for ms in LOOKS_MS), number(v.get("freeze_ms")),
                     number(v.get("pictures_per_second")), number(v.get("sound_apart_ms")),
                     len(v.get("errors") or []) + v.get("lost", 0) + v.get("sound_lost", 0)))
    return "\n".join([
        f"## A GOP of {GOP_S} s joined in its {JOIN_S}th second: ms behind the source, so many ms after the request", "",
        table(("player, stream", *LOOKS_MS, f"longest freeze after {STEADY_S} s, ms", "pictures/s",
               "sound and picture apart, ms", "errors, lost"), rows)])


# --- reboot ---------------------------------------------------------------------------------------

def bench_reboot(browser, directory, away_s):
    """The camera is gone for so long and comes back with another resolution; nobody asks anew."""
    first, other = (fake_rtsp.counting_media(2 * fake_rtsp.FPS, size=size) for size in ((640, 360), (1280, 720)))
    with fake_rtsp.FakeCamera(first) as camera, Gateway(directory, log_level="warn") as gateway, \
            gateway.view(camera.url()) as viewer, PlayerPage(browser) as page, \
            Ffplay(gateway.url(camera.url())) as ffplay, Vlc(gateway.url(camera.url())) as vlc:
        page.play(gateway.url(camera.url()), enableStashBuffer=False)
        page.wait_shown(50)
        ffplay.wait_clock(3)
        displayed = vlc.wait_displayed(50)["frames displayed"]
        camera.close()
        time.sleep(away_s)
        camera.video = other
        camera.listen()
        back = time.monotonic()
        took = {}
        viewer.wait(lambda v: len(v.flv.video_configs) == 2, 120, "the new sequence header")
        took["raw reader, first picture"] = time.monotonic() - back
        wait_for(lambda: page.size() == (1280, 720), 120, "the browser to show the new size", 0.05)
        took["mpegts.js, first picture"] = time.monotonic() - back
        page.wait_shown(100)
        clock = ffplay.clock()
        ffplay.wait_clock(clock + 4)
        vlc.wait_displayed(displayed + 100)
        viewer.wait_more(50)
        return {"away_s": away_s, "took_s": took, "errors": page.errors() + ["ended"] * page.ended()}


def reboot_text(r):
    return "\n".join([
        f"## A camera that reboots: {r['away_s']} s away, 640x360 before, 1280x720 after; s after it is back", "",
        table(("", "s"), [(name, f"{value:.2f}") for name, value in r["took_s"].items()]), "",
        f"mpegts.js, ffplay, VLC and the raw reader went on by the same request; errors: {r['errors'] or 'none'}."])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=("join", "reboot"))
    parser.add_argument("--player", default="", help="join: only this one")
    parser.add_argument("--away", type=float, default=20, help="seconds that the camera is away")
    options = parser.parse_args()
    parts = {"join": (lambda b, d: bench_join(b, d, options.player), join_text),
             "reboot": (lambda b, d: bench_reboot(b, d, options.away), reboot_text)}
    with tempfile.TemporaryDirectory() as directory, Browser() as browser:
        for name, (measure, text) in parts.items():
            if options.only in (None, name):
                result = measure(browser, directory)
                write("players-" + name, result, text(result))


if __name__ == "__main__":
    main()
