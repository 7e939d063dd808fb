#!/usr/bin/python3
"""Not in `make bench`: the dashboard with forty cameras, of which 13 are silent, one rejects the password and two die: how
long until the good ones are live, until dead ones are called dead, until those that are back are live.  The reference, in the
same run: a page that has only players of the good ones (bare_wall).  A table on stdout and in build/bench/.  Needs a
quiet machine and Chromium.

`--silent N`: so many silent cameras besides six good ones, or besides `--good N`, all in sight.
"""
import argparse
import pathlib
import statistics
import tempfile
import time

from measure import build_if_missing, table, write  # first: it leads to lib

from bare_wall import bare_wall
from bench_page import browser_processes, cpu_seconds
from lib import wall as lib_wall
from lib.browser import Browser, browser_missing
from lib.gateway import Gateway
from lib.wait import wait_for

HEAD = "[camera]\nreconnect_window_ms = 60000\n"
AWAY_SECONDS = 10


def spread(values):
    values = sorted(values)
    return f"{statistics.median(values):.2f}", f"{values[-1]:.2f}"


def wait_idle(browser):
    """A browser that has just started prepares pages of its own, which takes a second of processor time."""
    for _ in range(60):
        before = cpu_seconds(browser_processes(browser))
        time.sleep(0.5)
        if cpu_seconds(browser_processes(browser)) - before < 0.03:
            return


def live_times(browser, gateway, address, good):
    """Seconds from asking for the page until each good camera is live."""
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/{address}")
    # The page notes the times; who asks it often takes its processor time.
    lib_wall.wait_states(browser, dict.fromkeys(good, "live"), deadline=120, interval=0.5)
    found = lib_wall.times(browser, "live")
    return [found[name] for name in good]


def bare_times(browser, gateway, good):
    """The same of a page that has nothing but the players of the good cameras."""
    with bare_wall(gateway.flv_port, good) as url:
        browser.open(url)
        found = wait_for(lambda: times if len(times := browser.run("return window.live")) == len(good) else None, 120,
                         "pictures of all cameras on the bare page", interval=0.5)
    return [found[name] for name in good]


def dying_times(browser, gateway, wall):
    """-> seconds until both are called dead, and until both are live again, since their cameras went and came."""
    names = ["dying-1", "dying-2"]
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/#layout=4&cam=dying-1&cam=dying-2&cam=good-01&cam=silent-01")
    lib_wall.wait_states(browser, dict.fromkeys(names, "live"))
    time.sleep(3)
    for camera in wall.dying:
        camera.close()
    dead = lib_wall.wait_states(browser, dict.fromkeys(names, "retrying"))
    time.sleep(AWAY_SECONDS)
    for camera in wall.dying:
        camera.listen()
    return dead, lib_wall.wait_states(browser, dict.fromkeys(names, "live"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--silent", type=int, default=lib_wall.SILENT)
    parser.add_argument("--good", type=int)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    if browser_missing():
        raise SystemExit(browser_missing())
    build_if_missing()
    good = args.good or (lib_wall.GOOD if args.silent == lib_wall.SILENT else 6)
    live, bare, dead, back = [], [], [], []
    with lib_wall.Wall(good=good, silent=args.silent) as wall, tempfile.TemporaryDirectory() as directory:
        for _ in range(args.runs):
            with Gateway(pathlib.Path(directory), wall.config(HEAD), log_level="info") as gateway, Browser() as browser:
                wait_idle(browser)
                bare += bare_times(browser, gateway, wall.good)
            with Gateway(pathlib.Path(directory), wall.config(HEAD), log_level="info") as gateway, Browser() as browser:
                lib_wall.record(browser)
                wait_idle(browser)
                live += live_times(browser, gateway, "#layout=49", wall.good)
                times = dying_times(browser, gateway, wall)
                dead.append(times[0])
                back.append(times[1])
    result = {"live": live, "bare": bare, "dead": dead, "back": back}
    write("wall", result, table(["what", "median, s", "worst, s"], [
        (f"live, {good} good cameras beside {args.silent} silent ones", *spread(live)),
        ("the same, a page that has only their players", *spread(bare)),
        ("called dead, after the camera went", *spread(dead)),
        (f"live again, after a camera that was away for {AWAY_SECONDS} s is back", *spread(back)),
    ]))


if __name__ == "__main__":
    main()
