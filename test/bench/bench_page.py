#!/usr/bin/python3
"""make bench: the dashboard in a real browser: CPU of the gateway per tile, delay of each tile, and what becomes of
memory and delay when it plays on.  Tables on stdout and in build/bench/.

`--minutes N` (not part of make bench) keeps a dashboard open for so long and looks at it every five minutes.
`--hevc` (not part of make bench): what nine tiles of a 1080p HEVC camera cost the browser at full size, at the tile's
height, and as a sub-stream of 640 × 360.  All nine show one camera, so that the gateway transcodes it once.
"""
import argparse
import statistics
import tempfile
import time

from measure import build_if_missing, table, write  # first: it leads to lib

from lib import fake_rtsp, picture, processes
from lib.browser import Browser, browser_missing
from lib.cameras import SampleCameras
from lib.fake_rtsp import FakeCamera
from lib.gateway import Gateway
from lib.http import Viewer
from lib.wait import wait_for

H264, HEVC = "720p-H264-AAC", "720p-H265-AAC"
LAYOUTS = (1, 4, 9, 16)
SETTLE_SECONDS = 10  # of play, before anything is measured
LOOK_SECONDS = 300
PICTURES = 5  # whose delay is measured, of each tile
STATES = "[...document.querySelectorAll('.tile')].map((t) => t.dataset.state)"


def start_gateway(directory, cameras):
    """Every tile is a camera of its own, with a worker of its own."""
    names = {f"h264-{n}": cameras.rtsp_url(H264, join="live", tile=n) for n in range(1, max(LAYOUTS) + 1)}
    names["hevc"] = cameras.rtsp_url(HEVC, join="live")
    config = "".join(f'[camera "{name}"]\nurl = {url}\n' for name, url in names.items())
    return Gateway(directory, config, log_level="info")


def descendants(pid):
    found = [pid]
    for child in processes.children(pid):
        found += descendants(child)
    return found


def browser_processes(browser):
    return descendants(browser.driver.service.process.pid)


def renderers(browser):
    """Processes that hold pages: the tab's own, decoded pictures and buffered media included."""
    return [pid for pid in browser_processes(browser) if "--type=renderer" in processes.command_line(pid)]


def cpu_seconds(pids):
    return sum(map(processes.cpu_seconds, pids))


def show(browser, gateway, cams, layout):
    """-> seconds until all tiles were live."""
    begun = time.monotonic()
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/#layout={layout}" + "".join(f"&cam={c}" for c in cams))
    wait_for(lambda: browser.run(f"return {STATES}") == ["live"] * len(cams), 120,
             lambda: f"live tiles: {browser.run(f'return {STATES}')}", interval=0.1)
    return time.monotonic() - begun


# --- delay ----------------------------------------------------------------------------------------

def tile_picture(browser, index):
    """-> (time of day in s, counter in the picture that the tile shows)."""
    selector = f"#grid > :nth-child({index + 1}) video"

    def grab():
        grabbed = browser.picture(selector)
        counter = None if grabbed is None else picture.read_counter(grabbed[1])
        return None if counter is None else (grabbed[0] / 1000, counter)
    return wait_for(grab, 30, "a picture with a counter")


def delays(browser, gateway, cam, index):
    """Seconds that a tile's picture is behind the one that the camera sends at that moment.

    A viewer beside the browser gets each picture a millisecond after the gateway has it; the counter of its first one,
    decoded, tells that of every later one.
    """
    with Viewer(gateway.flv_port, f"/?cam={cam}&audio=none") as viewer:
        viewer.wait_frames(1)
        first = viewer.flv.video[:1]
        (counter,) = picture.decode_counters("-", input_options=("-f", first[0].config.codec),
                                             data=viewer.flv.annex_b(first))
        assert counter is not None
        viewer.wait_more(5)
        result = []
        for _ in range(PICTURES):
            at, shown = tile_picture(browser, index)
            at += time.monotonic() - time.time()
            sent = [f.received for f in list(viewer.flv.video) if f.received <= at]
            behind = (counter + len(sent) - 1 - shown + 10) % picture.LOOP_FRAMES - 10
            result.append(behind / picture.FRAME_RATE + at - sent[-1])
    return result


def all_delays(browser, gateway, cams):
    return {cam: statistics.median(delays(browser, gateway, cam, i)) for i, cam in enumerate(cams)}


# --- tiles ----------------------------------------------------------------------------------------

def measure_tiles(browser, gateway, cams, layout, seconds):
    live_s = show(browser, gateway, cams, layout)
    time.sleep(SETTLE_SECONDS)
    ours = [gateway.pid, gateway.nursery(), *gateway.all_workers()]
    before, browser_before, begun = cpu_seconds(ours), cpu_seconds(browser_processes(browser)), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    cpu = (cpu_seconds(ours) - before) / took
    browser_cpu = (cpu_seconds(browser_processes(browser)) - browser_before) / took
    return {"tiles": len(cams), "live_s": live_s, "cpu": cpu, "cpu_per_tile": cpu / len(cams),
            "browser_cpu": browser_cpu, "delay_s": all_delays(browser, gateway, cams),
            "codecs": sorted(set(browser.run("return [...document.querySelectorAll('[data-part=codec]')]"
                                             ".map((d) => d.textContent)")))}


def bench_tiles(browser, gateway, seconds):
    result = {}
    for layout in LAYOUTS:
        cams = [f"h264-{n}" for n in range(1, layout + 1)]
        result[f"H.264, {layout}"] = measure_tiles(browser, gateway, cams, layout, seconds)
    result["HEVC, 1"] = measure_tiles(browser, gateway, ["hevc"], 1, seconds)
    return result


def tiles_text(r):
    rows = []
    for name, m in r.items():
        ordered = sorted(m["delay_s"].values())
        rows.append((name, ", ".join(m["codecs"]), f"{m['live_s']:.1f}", f"{m['cpu']:.3f}", f"{m['cpu_per_tile']:.3f}",
                     f"{m['browser_cpu']:.2f}", f"{ordered[0]:.2f}", f"{statistics.median(ordered):.2f}",
                     f"{ordered[-1]:.2f}"))
    return "\n".join([
        f"## Dashboard: tiles of 720p, 2 Mbit/s, after {SETTLE_SECONDS} s of play", "",
        table(("camera, tiles", "played as", "s until all are live", "cores of the gateway", "per tile",
               "cores of the browser", "delay s, best tile", "median", "worst"), rows), "",
        "Delay: the picture in the tile against the one that the camera sends at that moment."])


# --- HEVC -----------------------------------------------------------------------------------------

# As the page was before it asked for a height.
FULL_SIZE = """
window.WebSocket = class extends WebSocket {
  constructor(url) { super(url.replace(/&height=\\d+/, '')); }
};
"""
SHOWN = """
return [...document.querySelectorAll('video')].map((v) => v.getVideoPlaybackQuality())
    .map(({totalVideoFrames: total, droppedVideoFrames: dropped}) => total - dropped);
"""


def measure_nine(browser, gateway, cam, seconds):
    show(browser, gateway, [cam] * 9, 9)
    time.sleep(SETTLE_SECONDS)
    pids, begun = browser_processes(browser), time.monotonic()
    ours = [gateway.pid, gateway.nursery(), *gateway.all_workers()]
    before, own_before, shown = cpu_seconds(pids), cpu_seconds(ours), browser.run(SHOWN)
    time.sleep(seconds)
    took = time.monotonic() - begun
    rates = [(now - was) / took for was, now in zip(shown, browser.run(SHOWN))]
    size = browser.run("const v = document.querySelector('video'); return `${v.videoWidth} × ${v.videoHeight}`")
    return {"size": size, "browser_cpu": (cpu_seconds(pids) - before) / took,
            "gateway_cpu": (cpu_seconds(ours) - own_before) / took, "rate": statistics.median(rates)}


def bench_hevc(browser, gateway, seconds):
    script = {"source": FULL_SIZE}
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)["identifier"]
    result = {"transcoded at full size": measure_nine(browser, gateway, "hevc", seconds)}
    browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added})
    result["transcoded at the tile's height"] = measure_nine(browser, gateway, "hevc", seconds)
    result["sub-stream"] = measure_nine(browser, gateway, "twin", seconds)
    return result


def hevc_text(r):
    return table(("nine tiles of 1080p HEVC", "played as", "browser, cores", "gateway, cores", "pictures/s, median tile"),
                 [(name, m["size"], f"{m['browser_cpu']:.2f}", f"{m['gateway_cpu']:.2f}", f"{m['rate']:.1f}")
                  for name, m in r.items()])


def run_hevc(directory, seconds):
    video = fake_rtsp.counting_media(25)
    with SampleCameras(sizes=("1080p",)) as cameras, FakeCamera(video=video) as sub, Browser() as browser:
        url = cameras.rtsp_url("1080p-H265-AAC")
        config = f'[camera "hevc"]\nurl = {url}\n[camera "twin"]\nurl = {url}\nsub = {sub.url("/sub")}\n'
        with Gateway(directory, config, log_level="info") as gateway:
            result = bench_hevc(browser, gateway, seconds)
            write("page-hevc", result, hevc_text(result))
            browser.driver.get("about:blank")


# --- hours ----------------------------------------------------------------------------------------

def look(browser, gateway, cams, begun):
    browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    metrics = {m["name"]: m["value"] for m in
               browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    return {"minutes": (time.monotonic() - begun) / 60,
            "tab_mb": sum(map(processes.private_bytes, renderers(browser))) / 1e6,
            "heap_mb": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"],
            "browser_mb": sum(map(processes.pss_bytes, browser_processes(browser))) / 1e6,
            "gateway_mb": sum(map(processes.private_bytes,
                                  [gateway.pid, gateway.nursery(), *gateway.all_workers()])) / 1e6,
            "buffered_s": browser.run("return Math.max(...[...document.querySelectorAll('video')].map((v) => "
                                      "v.buffered.length ? v.buffered.end(v.buffered.length - 1) - v.buffered.start(0)"
                                      " : 0))"),
            "delay_s": all_delays(browser, gateway, cams),
            "interruptions": browser.run("return window.interruptions")}


def bench_hours(browser, gateway, tiles, minutes):
    cams = [f"h264-{n}" for n in range(1, tiles + 1)]
    show(browser, gateway, cams, next(n for n in LAYOUTS if n >= tiles))
    browser.run("window.interruptions = {silent: 0, retrying: 0}; document.addEventListener('tilestate', (e) => {"
                " if (e.target.dataset.state in window.interruptions)"
                " window.interruptions[e.target.dataset.state] += 1; });")
    browser.driver.execute_cdp_cmd("Performance.enable", {})
    time.sleep(SETTLE_SECONDS)
    begun = time.monotonic()
    looks = [look(browser, gateway, cams, begun)]
    while time.monotonic() < begun + minutes * 60:
        due = min(begun + len(looks) * LOOK_SECONDS, begun + minutes * 60)
        time.sleep(max(0, due - time.monotonic()))
        looks.append(look(browser, gateway, cams, begun))
        print(hours_text({"tiles": tiles, "looks": looks[-1:]}).splitlines()[-1], flush=True)
    return {"tiles": tiles, "looks": looks}


def hours_text(r):
    return "\n".join([
        f"## Dashboard that plays on: {r['tiles']} tiles of 720p H.264", "",
        table(("minutes", "tab MB (private)", "its JavaScript heap MB", "DOM nodes", "media buffered s, most",
               "whole browser MB (PSS)", "gateway MB (private)", "delay s, median tile", "worst", "3 s without a picture, so far", "reconnects"),
              [(f"{m['minutes']:.0f}", f"{m['tab_mb']:.0f}", f"{m['heap_mb']:.1f}", f"{m['nodes']:.0f}",
                f"{m['buffered_s']:.1f}", f"{m['browser_mb']:.0f}", f"{m['gateway_mb']:.1f}",
                f"{statistics.median(m['delay_s'].values()):.2f}", f"{max(m['delay_s'].values()):.2f}",
                m["interruptions"]["silent"], m["interruptions"]["retrying"]) for m in r["looks"]])])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10, help="of CPU measurement, per layout")
    parser.add_argument("--minutes", type=float, help="of continuous play, instead of the layouts")
    parser.add_argument("--tiles", type=int, default=4, choices=range(1, 17), help="with --minutes")
    parser.add_argument("--hevc", action="store_true", help="nine tiles of HEVC, instead of the layouts")
    options = parser.parse_args()
    missing = browser_missing()
    if missing is not None:
        print(f"bench_page: left out: {missing}")
        return
    build_if_missing()
    if options.hevc:
        with tempfile.TemporaryDirectory() as directory:
            run_hevc(directory, options.seconds)
        return
    with tempfile.TemporaryDirectory() as directory, SampleCameras(sizes=("720p",)) as cameras, \
            start_gateway(directory, cameras) as gateway, Browser() as browser:
        if options.minutes is not None:
            result = bench_hours(browser, gateway, options.tiles, options.minutes)
            write("page-hours", result, hours_text(result))
        else:
            result = bench_tiles(browser, gateway, options.seconds)
            write("page", result, tiles_text(result))


if __name__ == "__main__":
    main()
