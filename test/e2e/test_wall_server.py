"""The dashboard and its server: what the server knows of each camera, sub-streams, a server that changes or is away."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from selenium.common.exceptions import WebDriverException

from lib import fake_rtsp
from lib import wall as lib_wall
from lib.cameras import ROOT
from lib.fake_rtsp import FakeCamera
from lib.gateway import Gateway
from lib.http import Viewer, request
from lib.ports import free_port
from lib.wait import wait_for
from lib.wall import PATIENT, part, show, wait_text

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(browser_module.browser_missing() is not None, reason=str(browser_module.browser_missing()))


@pytest.fixture(scope="module")
def wall():
    with lib_wall.Wall() as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        lib_wall.record(one)
        yield one


def test_the_table_tells_what_is_known(browser, wall, tmp_path):
    """Second names, sub-streams, cameras that nobody watches, a server that refuses, and one that is gone."""
    config = (f'{PATIENT}[camera "gate"]\nurl = {wall.camera.url("/gate")}\n[camera "gate2"]\nurl = {wall.camera.url("/gate")}\n'
              f'[camera "yard"]\nurl = {wall.camera.url("/yard")}\nsub = {{0}}/sub\n'
              '[camera "shed"]\nurl = {0}/shed\n')

    def rows():
        return browser.run("return Object.fromEntries([...document.querySelectorAll('#status-rows tr')].map((r) => "
                           "[r.querySelector('th').textContent, [r.querySelector('[data-part=state]').textContent, "
                           "!r.querySelector('button').hidden]]))")

    def wait_rows(wanted):
        wait_for(lambda: wanted.items() <= rows().items(), 60, lambda: f"{wanted}, got {rows()}")
    live, down, nobody = ["Live", True], ["Down", True], ["Nobody watches", False]
    with FakeCamera(fake_rtsp.media()) as dying, Gateway(
            tmp_path, config.format(dying.url("")), secrets=["one-secret", "other-secret"]) as gateway:
        show(gateway, browser, "#status=1")
        wait_rows({"gate": nobody, "gate2": nobody, "yard": nobody, "shed": nobody})
        with Viewer(gateway.flv_port, "/?cam=gate2"):
            wait_rows({"gate": live, "gate2": live})
        with Viewer(gateway.flv_port, "/?cam=yard&stream=sub") as sub, Viewer(gateway.flv_port, "/?cam=shed") as shed:
            sub.wait_frames(3)
            shed.wait_frames(3)
            dying.close()
            wait_rows({"yard, sub-stream": down, "shed": down, "yard": nobody})
            wait_text(browser, "#down", "^2 down$")
        wait_rows({"shed": nobody})
        reason = ("return [...document.querySelectorAll('#status-rows tr')].find((r) => r.querySelector('th').textContent === 'shed')"
                  ".querySelector('[data-part=reason]').textContent")
        wait_for(lambda: browser.run(reason).startswith("Last time: The camera cannot be reached ("), 60, lambda: browser.run(reason))
        wait_text(browser, "#down", "^$")
        assert browser.run("return document.title") == "Cameras · CAM-HTTPFLV"
        # Two cameras whose URLs look alike.
        urls = [wall.camera.url("/alike", user="admin", password=f"{name}-secret") for name in ("one", "other")]
        with Viewer(gateway.flv_port, f"/?cam_url={urls[0]}"), Viewer(gateway.flv_port, f"/?cam_url={urls[1]}"):
            alike = "[...document.querySelectorAll('#status-rows tr')].filter((r) => r.textContent.includes('alike'))"
            browser.wait(f"{alike}.filter((r) => !r.querySelector('button').hidden).length === 2", 60, "both")
            browser.resize(1024, 800)
            assert browser.run(f"return Math.max(...{alike}.map((r) => r.querySelector('button').getBoundingClientRect().right))") <= 1024
            browser.resize(1280, 800)
            keys, asked = browser.run(f"""const real = fetch, asked = [];
                window.fetch = (url, options) => {{ if (options?.method === 'POST') asked.push(String(url));
                                                    return real(url, options); }};
                const rows = {alike};
                for (const row of rows) {{ row.querySelector('button').click();
                                           await new Promise((resolve) => setTimeout(resolve, 500)); }}
                window.fetch = real;
                return [rows.map((r) => r.dataset.key), asked];""")
            assert len(set(keys)) == 2 and [url.split("/")[-2] for url in asked] == keys
        browser.run("""window.real = fetch; window.fetch = async () => new Response(
            JSON.stringify({error: {code: 'client_share', message: 'too much'}}), {status: 503});""")
        wait_text(browser, "#notice", "^This address has used up its share of the server: ")
        browser.run("window.fetch = window.real")
        wait_rows({"gate": nobody})
    wait_text(browser, "#notice", "cannot be reached")
    wait_rows(dict.fromkeys(("gate", "gate2", "yard", "shed"), ["Unknown: the server does not answer", False]))
    browser.driver.get("about:blank")


def test_small_tiles_take_the_sub_stream(browser, wall, tmp_path):
    """The main stream is for whoever opens the camera, and for a sub-stream that does not play."""
    with FakeCamera(fake_rtsp.media()) as main, FakeCamera(fake_rtsp.media()) as sub, Gateway(
            tmp_path, f'{PATIENT}[camera "twin"]\nurl = {main.url("/main")}\nsub = {sub.url("/sub")}\n'
                      f'[camera "half"]\nurl = {wall.camera.url("/half")}\nsub = rtsp://127.0.0.1:1/refused\n') as gateway:
        def viewers():
            answer = request(gateway.snapshot_port, "/api/streams")
            return {s["name"]: s["viewers"] for s in json.loads(answer.body)["streams"] if s["viewers"]}
        browser.resize(1000, 700)
        show(gateway, browser, "#layout=2&cam=twin&cam=half")
        lib_wall.wait_states(browser, {"twin": "live", "half": "live"})
        wait_for(lambda: viewers() == {"twin:sub": 1, "half": 1}, 30, viewers)
        wait_for(lambda: part(browser, "half", "note") == "The sub-stream does not play: this is the main stream", 30,
                 lambda: part(browser, "half", "note"))
        assert part(browser, "twin", "note") == ""
        # An edge that is dragged to and fro connects nothing anew.
        browser.resize(1360, 800)
        browser.wait("document.querySelector('.tile').clientWidth > 640", 30, "a tile that is a little larger")
        time.sleep(2)
        assert viewers() == {"twin:sub": 1, "half": 1}
        assert main.plays == 0, "nobody asked for the main stream, for a still neither"
        # A sub-stream that fails and comes back is taken again.
        sub.close()
        wait_for(lambda: viewers() == {"twin": 1, "half": 1}, 60, viewers)
        sub.listen()
        with Viewer(gateway.flv_port, "/?cam=twin&stream=sub"):
            wait_for(lambda: viewers() == {"twin:sub": 2, "half": 1}, 60, viewers)
        wait_for(lambda: viewers() == {"twin:sub": 1, "half": 1}, 30, viewers)
        browser.resize(1600, 900)
        wait_for(lambda: viewers() == {"twin": 1, "half": 1}, 30, viewers)
        lib_wall.wait_states(browser, {"twin": "live", "half": "live"})
        # A browser that drops three pictures of five, as one that is too slow does.
        browser.run("""const real = HTMLVideoElement.prototype.getVideoPlaybackQuality;
            HTMLVideoElement.prototype.getVideoPlaybackQuality = function () {
                const {totalVideoFrames} = real.call(this);
                return {totalVideoFrames, droppedVideoFrames: Math.floor(totalVideoFrames * 0.6)}; };""")
        slow = r"^This computer is too slow: \d+ of \d+ pictures/s"
        wait_for(lambda: re.match(slow, part(browser, "twin", "note")), 60, lambda: part(browser, "twin", "note"))
        browser.find(".tile [data-part='smaller']").click()
        wait_for(lambda: viewers() == {"twin:sub": 1, "half": 1}, 30, viewers)
        browser.resize(1280, 800)
        browser.driver.get("about:blank")


@pytest.mark.parametrize("steps, loads", [
    ("all 1 kiosk wait 5 return wait 5 return wait 2000", 0),
    ("all 1 kiosk wait 65 all 2 return", 1),
    ("all 1 kiosk wait 65 all 2 wait 700", 1),  # an upgrade, which nobody notices
    ("all 1 kiosk wait 65 part 2 return wait 60", 0),
    ("all 1 kiosk wait 65 part 2 return wait 60 all 2 wait 60", 1),
    ("all 2 kiosk wait 65", 1),  # an upgrade while the page came
    ("part 1 kiosk wait 65 all 2 return", 1),
    ("all 2 kiosk wait 5 return wait 5", 0),  # two versions behind one proxy: once a minute, not without end
    ("all 1 kiosk wait 65 other return wait 60", 0),  # a proxy's own page
    ("other kiosk wait 65 all 2 wait 15", 1),
])
def test_takes_a_new_version(steps, loads):
    """As soon as all of it is there."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    told = subprocess.run(["node", os.path.join(ROOT, "test/e2e/lib/wall_version.mjs"),
                           os.path.join(ROOT, "master/web/wall.js"), *steps.split()],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(told)[-1] == loads, told


def is_new(browser):
    """Has the page been loaded again since window.kept was set?"""
    try:
        return not browser.run("return window.kept")
    except WebDriverException:
        return False  # it is being loaded


# A module that fails while it runs fails for good, as one that a browser could not load.
MPEGTS = """
if (globalThis.refusals-- > 0) throw new Error('it did not come');
globalThis.players = 0;
globalThis.mpegts = {
  LoggingControl: {},
  Events: { ERROR: 'error', MEDIA_INFO: 'media' },
  ErrorTypes: { MEDIA_ERROR: 'MediaError' },
  BaseLoader: class {},
  createPlayer: () => ({
    on(event, call) {
      (globalThis.tellPage ??= {})[event] = call;
    },
    attachMediaElement() {
      if (globalThis.hasNoMediaSource) throw new TypeError('MediaSource is not a constructor');
    },
    load() {},
    async play() { globalThis.players++; },
    destroy() {},
  }),
};
"""


@pytest.mark.parametrize("fault, outcome", [
    ("library", {"players": 1, "hurried": False}),
    ("player", ["connecting", "retrying player"]),
    ("config", ["unauthorized", [{"name": "gate"}]]),
    ("turns", ["open"] * 6 + ["stuck"] * 2),
    ("refusal", "height: a number is accepted"),
    ("stuck", True),
    ("queue", ["connecting"]),
    ("frames", [1, 0]),
    ("tile", [1, 0]),
    ("wall", True),
    ("desk", False),
    ("up", False),
    # Waits before the next attempt, in ms, and whether it asks for H.264.
    ("decoder", {"plays": [100, 1000, 100, 1000], "hvc1": [[1000, False], [100, True]],
                 "avc1": [[1000, False], [2000, False]], "": [[1000, False], [100, True]]}),
    ("gate", ["first", "aborted", "good", "down", "down too"]),
    ("cycle", [0, 0, 1, 1, 1, 2, 2]),
    ("still", ["", "Last picture: 2026-01-02 03:04:05", "Picture of 2026-01-02 03:04:06", "Picture of 2026-01-02 03:04:06",
               "Picture of 2026-01-02 03:04:05"]),
    ("labels", ["Camera", "gate", "Camera", "Camera", "10.0.0.9"]),
    ("clock", "(2 min)"),
    ("quarantined", "This camera's process crashes again and again; next try at 2026-01-02 03:05:05"),
])
def test_page_faults(tmp_path, fault, outcome):
    """The library or the ports come late, or a script not at all; no MediaSource; the decoder fails; an observer would keep a tile that goes."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    for name in (*glob.glob(os.path.join(ROOT, "master/web/*.js")), os.path.join(ROOT, "master/web/package.json")):
        shutil.copy(name, tmp_path)
    (tmp_path / "mpegts.js").write_text(MPEGTS)
    told = subprocess.run(["node", os.path.join(ROOT, "test/e2e/lib/page_fault.mjs"), tmp_path, fault],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(told) == outcome, told


def test_comes_back_after_a_restart_of_the_gateway(browser, wall, tmp_path):
    """And after an upgrade, which nobody notices; if that brings another version of the page, it takes it."""
    ports = (free_port(), free_port())
    config = (f"[server]\nbind = 127.0.0.1\nflv_port = {ports[0]}\nsnapshot_port = {ports[1]}\n"
              f"{wall.config(PATIENT)}")

    def all_live():
        lib_wall.wait_states(browser, dict.fromkeys(wall.good[:4], "live"))
    with Gateway(tmp_path, config, ports=ports, secrets=["wrong-secret"]) as first:
        # A tile that waits for its camera is told that the server stops; one that plays is only disconnected.
        waiting = wall.silent[0]
        show(first, browser, "#layout=6&kiosk=1&" + "&".join(f"cam={name}" for name in [*wall.good[:4], waiting]))
        all_live()
        lib_wall.wait_states(browser, {waiting: "connecting"})
        browser.run("window.kept = true")
        assert browser.run("return document.documentElement.dataset.up"), "it would be loaded again and again"
        frames = browser.frames()
        os.kill(first.pid, signal.SIGUSR2)
        wait_for(lambda: "upgrade: done" in first.log(), 90, lambda: first.log()[-4000:])
        wait_for(lambda: browser.frames() > frames + 25, 60, "pictures after the upgrade")
        all_live()
        assert browser.run("return window.kept")
        opened = browser.run("return sockets.length")
    wait_for(lambda: "live" not in lib_wall.states(browser).values(), 60, "the end of all streams")
    wait_text(browser, "#notice", "cannot be reached")
    time.sleep(3)  # every tile has tried again
    # Browsers hold a page back whose handshakes fail: it asks by HTTP until there is an answer.
    assert browser.run("return sockets.length") == opened
    with Gateway(tmp_path, config, ports=ports, secrets=["wrong-secret"]):
        all_live()
        browser.wait("document.querySelector('#notice').hidden", 30, "the end of the notice")
        assert browser.run("return window.kept"), "the page was not loaded again"
        # The page is of another version, and a minute old.
        browser.run("""document.querySelector('meta[name=version]').content = 'another';
            const real = performance.now.bind(performance); performance.now = () => real() + 60000;""")
        browser.driver.switch_to.active_element.send_keys("k", "k")
        wait_for(lambda: is_new(browser), 30, "the page that the server has")
        all_live()
        assert browser.run("return document.documentElement.dataset.kiosk") == "true"
        browser.driver.get("about:blank")
