"""The page in a real browser: dashboard and player, good cameras and bad ones."""
import functools
import http.server
import json
import os
import shutil
import socket
import threading
import time
import urllib.parse
import urllib.request

import pytest

from lib import fake_rtsp
from lib.cameras import ROOT, SampleCameras
from lib.gateway import Gateway
from lib.http import Viewer
from lib.picture import FRAME_RATE, read_counter
from lib.wait import holds_for, wait_for

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(browser_module.browser_missing() is not None, reason=str(browser_module.browser_missing()))

SHOTS = os.environ.get("CAM_SCREENSHOTS", os.path.join(ROOT, "build", "screenshots"))
SHORT = """
[camera]
connect_timeout_ms = 4000
stall_timeout_ms = 1500
idle_timeout_ms = 1000
reconnect_window_ms = 10000
"""
KEY_INTERVAL_S = 2  # of the sample cameras
STATES = "Object.fromEntries([...document.querySelectorAll('.tile')].map((t) => [t.tile.label, t.dataset.state]))"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cameras():
    with SampleCameras(sizes=("720p",)) as sample:
        yield sample


@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        yield one


@pytest.fixture(scope="module")
def small():
    """A camera of small pictures, under as many paths as one likes, that can die and come back."""
    with fake_rtsp.FakeCamera(video=fake_rtsp.media()) as camera:
        yield camera


@pytest.fixture(scope="module")
def gateway(cameras, small, tmp_path_factory):
    named = {
        "front-door": cameras.rtsp_url("720p-H264-AAC", join="live"),
        "yard": cameras.rtsp_url("720p-H265-G711A"),
        "locked": cameras.rtsp_url("720p-H264-G711U", user="admin", password="wrong-secret", auth="digest"),
        **{f"small-{i}": small.url(f"/cam{i}") for i in range(1, 17)},
    }
    config = SHORT + "".join(f'[camera "{name}"]\nurl = {url}\n' for name, url in named.items())
    directory = tmp_path_factory.mktemp("page")
    with Gateway(directory, config, secrets=["wrong-secret"]) as one:
        yield one


def page(gateway, path):
    return f"http://127.0.0.1:{gateway.flv_port}{path}"


def dashboard(gateway, *cams, layout=None):
    places = [f"layout={layout}"] if layout else []
    return page(gateway, "/#" + "&".join(places + [f"cam={cam}" for cam in cams]))


def api(gateway, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.snapshot_port}{path}", timeout=10) as answer:
        return json.load(answer)


def viewers(gateway, name):
    return sum(s["viewers"] for s in api(gateway, "/api/streams")["streams"] if s["name"] == name)


def wait_states(browser, wanted, deadline=60):
    def reached():
        states = browser.run(f"return {STATES}")
        return all(states.get(name) == state for name, state in wanted.items())
    wait_for(reached, deadline, lambda: f"{wanted}, got {browser.run(f'return {STATES}')}", interval=0.2)


def wait_live(browser, deadline=60):
    """Of the player."""
    wait_for(lambda: browser.run("return document.body.dataset.state") == "live", deadline,
             lambda: f"a live picture; it says: {browser.find('#state').text}", interval=0.1)


def counter(browser, selector="video"):
    """-> (ms since the epoch, frame counter in the picture that is shown)."""
    def grab():
        grabbed = browser.picture(selector)
        value = None if grabbed is None else read_counter(grabbed[1])
        return None if value is None else (grabbed[0], value)
    return wait_for(grab, 30, "a picture with a counter")


def assert_plays(browser, selector="video"):
    """Pictures are decoded, and the one that is shown changes."""
    frames, (_, first) = browser.frames(selector), counter(browser, selector)
    wait_for(lambda: browser.frames(selector) >= frames + 10, 60, "ten more pictures")
    wait_for(lambda: counter(browser, selector)[1] != first, 60, "the counter to advance")


# --- player ------------------------------------------------------------------


def test_player_plays_h264_with_sound(gateway, browser):
    browser.open(page(gateway, "/play?cam=front-door"))
    wait_live(browser)
    assert_plays(browser)
    assert browser.console(loads=True) == []
    assert browser.run("return document.title").startswith("front-door")
    assert browser.run("return document.querySelector('video').muted")
    browser.find("#sound").click()
    assert not browser.run("return document.querySelector('video').muted")
    browser.wait("document.querySelector('video').webkitAudioDecodedByteCount > 10000", 60, "decoded sound")
    wait_live(browser)
    assert_plays(browser)
    assert browser.console() == []


def test_player_plays_hevc(gateway, browser):
    """Untouched where the browser can, else as H.264: the user just sees a picture."""
    browser.open(page(gateway, "/play?cam=yard"))
    wait_live(browser)
    assert_plays(browser)
    (stream,) = [s for s in api(gateway, "/api/streams")["streams"] if s["name"] == "yard"]
    assert stream["video_codec"] == "H.265"
    browser.find("#stats-button").click()
    native = browser.run("return MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L153.B0\"')")
    wait_for(lambda: ("H.265" if native else "H.264") in browser.find("#stat-codec").text, 30, "what it receives")
    wait_for(lambda: "H.265" in browser.find("#stat-camera").text, 30, "what the camera sends")


def test_player_takes_a_raw_url(gateway, browser, cameras):
    url = cameras.rtsp_url("720p-H264-AAC", join="live")
    browser.open(page(gateway, f"/play?cam_url={url}&join=key"))
    wait_live(browser)
    assert_plays(browser)
    assert "127.0.0.1" in browser.find("#name").text


def test_plays_where_websockets_do_not_pass(gateway, browser):
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": """
        if (location.search.includes('small-5')) WebSocket = class { constructor() {
            setTimeout(() => this.onerror?.({code: 1006, message: 'blocked by the test'})); } close() {} };"""})
    browser.open(page(gateway, "/play?cam=small-5"))
    wait_live(browser)
    browser.find("#stats-button").click()
    browser.wait("document.querySelector('#stat-transport').textContent === 'HTTP'", 30, "plain HTTP")


def test_player_links_and_snapshot(gateway, browser):
    browser.open(page(gateway, "/play?cam=front-door"))
    wait_live(browser)
    browser.find("#links-button").click()
    values = browser.run("return Object.fromEntries([...document.querySelectorAll('#links input')]"
                         ".map((i) => [i.id, i.value]))")
    host = f"127.0.0.1:{gateway.flv_port}"
    assert values["link-flv"] == f"http://{host}/live.flv?cam=front-door"
    assert values["link-ws"] == f"ws://{host}/live.flv?cam=front-door"
    assert values["link-snapshot"] == f"http://127.0.0.1:{gateway.snapshot_port}/snapshot?cam=front-door"
    assert values["link-ffplay"].endswith(f" 'http://{host}/live.flv?cam=front-door'")
    assert values["link-vlc"].endswith(f" 'http://{host}/live.flv?cam=front-door'")
    browser.find("#links .primary").click()
    browser.find("#snapshot").click()
    browser.wait("document.querySelector('#note').textContent === 'Snapshot saved'", 30, "the snapshot")


def test_delay_against_the_camera(gateway, browser):
    """A viewer beside the browser tells when key frames pass; their counter is a multiple of 50."""
    with Viewer(gateway.flv_port, "/?cam=front-door&audio=none&join=key") as viewer:
        browser.open(page(gateway, "/play?cam=front-door"))
        wait_live(browser)
        start = browser.run("return performance.now()")
        browser.wait("performance.now() > arguments[0]", 60, "ten seconds of play", start + 10000)
        delays = []
        for _ in range(20):
            at_ms, value = counter(browser)
            key_at = [f.received for f in list(viewer.flv.video) if f.key][-1] + time.time() - time.monotonic()
            live = (at_ms / 1000 - key_at) * FRAME_RATE
            delays.append((live - value) % (KEY_INTERVAL_S * FRAME_RATE) / FRAME_RATE)
        print("delay against the camera, s:", sorted(round(d, 2) for d in delays))
        assert sorted(delays)[len(delays) // 2] < 1, delays


def test_flv_js(gateway, browser, tmp_path):
    """The player that others' pages have, from another origin."""
    library = os.path.join(ROOT, "master/web/node_modules/flv.js/dist/flv.min.js")
    if not os.path.exists(library):
        pytest.skip("flv.js is not installed: (cd master/web && npm ci)")
    shutil.copy(library, tmp_path)
    (tmp_path / "index.html").write_text("<!doctype html><video muted></video><script src=flv.min.js></script>")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for scheme in ("http", "ws"):
            browser.open(f"http://127.0.0.1:{server.server_port}/")
            browser.run("""
                const player = flvjs.createPlayer({type: 'flv', isLive: true, url: arguments[0]});
                player.attachMediaElement(document.querySelector('video'));
                player.load();
                player.play();
                """, f"{scheme}://127.0.0.1:{gateway.flv_port}/live.flv?cam=front-door")
            assert_plays(browser)
            browser.wait("document.querySelector('video').webkitAudioDecodedByteCount > 10000", 60, "decoded sound")
        server.shutdown()


# --- dashboard ---------------------------------------------------------------


def test_dashboard_shows_named_cameras(gateway, browser):
    browser.open(page(gateway, "/"))
    browser.wait("document.querySelectorAll('.tile').length === 16", 30, "sixteen of the named cameras")
    assert browser.run("return document.querySelector('.tile').tile.label") == "front-door"
    assert "secret" not in browser.run("return document.documentElement.outerHTML")


def test_nothing_from_elsewhere(gateway, browser):
    browser.open(dashboard(gateway, "small-1", layout=1))
    wait_states(browser, {"small-1": "live"})
    hosts = {urllib.parse.urlsplit(url).hostname for url in
             browser.run("return performance.getEntriesByType('resource').map((e) => e.name)")}
    assert hosts == {"127.0.0.1"}
    assert browser.console() == []
    policy = urllib.request.urlopen(page(gateway, "/"), timeout=10).headers["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy


def test_errors_in_words_and_recovery(gateway, browser, small):
    small.close()
    try:
        browser.open(dashboard(gateway, "small-1", "locked", "nobody", layout=4))
        wait_states(browser, {"small-1": "retrying", "locked": "retrying", "nobody": "retrying"})

        def texts():
            return browser.run("return Object.fromEntries([...document.querySelectorAll('.tile')].map((t) => "
                               "[t.tile.label, t.getAttribute('aria-label')]))")
        wait_for(lambda: texts()["small-1"] == "small-1: The camera cannot be reached", 30, texts)
        wait_for(lambda: texts()["locked"].startswith("locked: The camera rejects the password"), 30, texts)
        wait_for(lambda: "knows no camera" in texts()["nobody"], 30, texts)
        # While it tries again, what was wrong stays in sight.
        browser.run("""window.labels = []; window.opened = 0;
            new MutationObserver(([{target}]) => labels.push(target.ariaLabel))
                .observe(document.querySelector('.tile'), {attributeFilter: ['aria-label']});
            window.WebSocket = new Proxy(WebSocket, {construct: (target, args) => {
                opened += args[0].includes('cam=small-1&'); return new target(...args); }});""")
        browser.wait("opened >= 3", 60, "three attempts")
        assert {label for label in browser.run("return labels") if "cannot be reached" not in label} == set()
        wait_states(browser, {"small-1": "retrying"})
    finally:
        small.listen()
    browser.find(".tile [data-part='retry']").click()
    wait_states(browser, {"small-1": "live"}, deadline=90)


def test_camera_goes_and_comes_back(gateway, browser, small):
    """It is called down while its viewers are kept, and then too; its last picture stays in sight."""
    browser.open(dashboard(gateway, "small-2", layout=1))
    wait_states(browser, {"small-2": "live"})
    small.close()
    try:
        wait_states(browser, {"small-2": "retrying"}, deadline=60)
        assert browser.picture(".tile video")[1].std() > 10, "the viewer is kept"
        assert stills(browser)[0] is not None
        browser.wait("document.querySelector('.tile video').readyState === 0", 60, "the end of the window")
        assert stills(browser)[0] is not None
        assert browser.canvas_spread(".tile canvas") > 10
    finally:
        small.listen()
    wait_states(browser, {"small-2": "live"}, deadline=90)


def test_nine_at_once(gateway, browser):
    names = [f"small-{i}" for i in range(1, 10)]
    browser.open(dashboard(gateway, *names, layout=9))
    wait_states(browser, dict.fromkeys(names, "live"), deadline=120)
    before = browser.run("return [...document.querySelectorAll('video')].map("
                         "(v) => v.getVideoPlaybackQuality().totalVideoFrames)")
    browser.wait("[...document.querySelectorAll('video')].every((v, i) => "
                 "v.getVideoPlaybackQuality().totalVideoFrames > arguments[0][i] + 5)", 120, "all nine to go on", before)
    assert browser.find("#summary").text == "9 of 9 live"


def test_a_camera_that_hangs_holds_nobody_up(browser, small, tmp_path):
    """Browsers open one WebSocket to a host at a time: none may wait for a camera."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        urls = {"hangs": f"rtsp://127.0.0.1:{hanging.getsockname()[1]}/x", "good": small.url("/cam1")}
        config = SHORT.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 60000")
        config += "".join(f'[camera "{name}"]\nurl = {url}\n' for name, url in urls.items())
        with Gateway(tmp_path, config) as patient:
            browser.open(dashboard(patient, "hangs", "good", layout=4))
            wait_states(browser, {"hangs": "connecting", "good": "live"}, deadline=50)


def test_hidden_tab_stops_traffic(gateway, browser):
    browser.open(dashboard(gateway, "small-3", layout=1))
    wait_states(browser, {"small-3": "live"})
    wait_for(lambda: viewers(gateway, "small-3") == 1, 30, "the viewer to be counted")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    try:
        wait_for(lambda: viewers(gateway, "small-3") == 0, 60, "the viewer to go")
    finally:
        browser.driver.close()
        browser.driver.switch_to.window(first)
    wait_states(browser, {"small-3": "live"})
    wait_for(lambda: viewers(gateway, "small-3") == 1, 30, "the viewer to be back")


def test_leaving_the_page_ends_its_connections(gateway, browser):
    """Browsers keep pages that were left for the way back, with their connections if one lets them."""
    browser.open(dashboard(gateway, "small-4", layout=1))
    wait_states(browser, {"small-4": "live"})
    browser.driver.get("about:blank")
    wait_for(lambda: viewers(gateway, "small-4") == 0, 8, "the viewer to go")
    browser.driver.back()
    wait_states(browser, {"small-4": "live"})


def test_out_of_sight_stops(gateway, browser):
    names = [f"small-{i}" for i in range(1, 10)]
    browser.resize(390, 700)
    try:
        browser.open(dashboard(gateway, *names, layout=9))
        wait_states(browser, {"small-1": "live", "small-2": "live", "small-9": "idle"}, deadline=90)
        browser.run("document.querySelectorAll('.tile')[8].scrollIntoView()")
        wait_states(browser, {"small-9": "live", "small-1": "idle"}, deadline=90)
        assert not browser.run("return document.querySelector('.tile canvas').hidden")
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.resize(1280, 800)


def stills(browser):
    """Of the first tile: -> [time of the picture shown in the video's place or None, snapshots asked for so far]."""
    return browser.run("""
        const tile = document.querySelector('.tile'), time = tile.querySelector('time');
        const asked = performance.getEntriesByType('resource')
            .filter((e) => e.name.includes(`/snapshot?${tile.tile.query}&`));
        return [time.hidden ? null : time.dateTime, asked.length];""")


def test_still_of_a_tile_that_stopped(gateway, browser):
    """Its last picture at once; nothing is asked for while nobody looks; one snapshot when somebody looks again."""
    names = [f"small-{i}" for i in range(1, 10)]
    browser.resize(390, 700)
    try:
        browser.open(dashboard(gateway, *names, layout=9))
        wait_states(browser, {"small-1": "live", "small-9": "idle"}, deadline=90)
        assert stills(browser)[0] is None
        before = stills(browser)[1]
        browser.run("document.querySelectorAll('.tile')[8].scrollIntoView()")
        wait_states(browser, {"small-1": "idle"}, deadline=60)
        kept, asked = stills(browser)
        assert kept is not None and asked == before
        assert browser.canvas_spread(".tile canvas") > 10
        holds_for(lambda: stills(browser) == [kept, before], 4, "no traffic for a tile out of sight", interval=0.5)
        # No stream from now on: the snapshot is what there is to see.
        browser.run("""window.WebSocket = class { constructor() {
            setTimeout(() => this.onerror?.({code: 1006, message: 'blocked by the test'})); } close() {} };
            const real = fetch;
            window.fetch = (url, options) => String(url).includes('/live.flv') ?
                Promise.reject(new TypeError('blocked by the test')) : real(url, options);
            document.querySelector('.tile').scrollIntoView();""")
        wait_for(lambda: (stills(browser)[0] or "") > kept, 60, "a newer picture than the one kept")
        assert stills(browser)[1] == before + 1
        assert browser.canvas_spread(".tile canvas") > 10
    finally:
        browser.resize(1280, 800)


def test_bookmark_and_keyboard(gateway, browser):
    browser.open(dashboard(gateway, "small-1", "", "small-2", layout=4))
    wait_states(browser, {"small-1": "live", "small-2": "live"})
    assert browser.run("return [...document.querySelector('#grid').children].map((e) => e.tile?.label ?? null)") == \
        ["small-1", None, "small-2", None]

    def press(key):
        browser.driver.switch_to.active_element.send_keys(key)
    browser.run("document.querySelector('.tile').focus()")
    press("9")
    assert browser.run("return document.querySelector('#grid').children.length") == 9
    press("\ue014")  # arrow right
    assert browser.run("return document.activeElement.closest('.empty') !== null")
    press("\ue014")
    assert browser.run("return document.activeElement.tile.label") == "small-2"
    press("\ue017")  # Delete
    press("a")
    assert browser.run("return document.querySelector('#add-dialog').open")
    browser.find("#add-url").send_keys(" \u201crtsp://u:p@ss@127.0.0.1:9/x?a=1&b=2\u201d\u200b")  # as pasted
    press("\ue007")  # Enter
    wait_states(browser, {"127.0.0.1:9/x?a=1&b=2": "retrying"})
    hash_now = browser.run("return location.hash")
    assert hash_now.startswith("#layout=9&cam=small-1&cam_url=rtsp%3A%2F%2Fu%3Ap%40ss%40127.0.0.1%3A9%2Fx%3Fa%3D1%26b%3D2")

    browser.open(page(gateway, "/" + hash_now))
    wait_states(browser, {"small-1": "live", "127.0.0.1:9/x?a=1&b=2": "retrying"})
    assert browser.run("return document.querySelector('#grid').dataset.layout") == "9"


def test_change_a_url(gateway, browser, small):
    """A mistyped URL is mended in its place; what looks like a password is not shown."""
    browser.open(dashboard(gateway, "", layout=1))
    browser.find("#add").click()
    browser.find("#add-url").send_keys("127.0.0.1/cam")
    browser.find("#add-submit").click()
    assert browser.find("#add-error").text.startswith("A camera URL begins with rtsp://")
    browser.find("#add-url").clear()
    browser.find("#add-url").send_keys("rtsp://127.0.0.1:9/cam?user=u&password=hidden-1")
    browser.find("#add-submit").click()
    wait_states(browser, {"127.0.0.1:9/cam?user=u&password=***": "retrying"})
    assert "hidden-1" not in browser.run("return document.querySelector('.tile').textContent")
    browser.run("document.querySelector('.tile').focus()")
    browser.find("[data-part='change']").click()
    assert browser.run("return document.querySelector('#add-url').value").endswith("password=hidden-1")
    browser.find("#add-url").clear()
    browser.find("#add-url").send_keys(small.url("/mended"))
    browser.find("#add-submit").click()
    wait_states(browser, {f"127.0.0.1:{small.port}/mended": "live"})
    assert browser.run("return document.querySelectorAll('.tile').length") == 1


def test_kept_tiles_are_not_disturbed(gateway, browser):
    browser.open(dashboard(gateway, "small-1", "small-2", layout=4))
    wait_states(browser, {"small-1": "live", "small-2": "live"})
    browser.run("window.kept = document.querySelectorAll('video')[0]")
    frames = browser.frames()
    browser.find("input[value='16'] + span").click()
    browser.find(".tile:nth-child(2)").click()
    browser.find(".tile:nth-child(2) [data-part='remove']").click()
    holds_for(lambda: browser.run("return document.querySelector('.tile').dataset.state") == "live", 2, "live")
    assert browser.run("return document.querySelectorAll('video')[0] === window.kept")
    assert browser.frames() >= frames


def test_details(gateway, browser):
    browser.open(dashboard(gateway, "front-door", layout=1))
    wait_states(browser, {"front-door": "live"})
    browser.find(".tile").click()

    def details():
        return browser.run("return Object.fromEntries([...document.querySelectorAll('.tile dl dd')].map((d) => "
                           "[d.dataset.part, d.textContent]))")
    wait_for(lambda: details() and not {"", "–"} & set(details().values()), 60, details)
    wait_for(lambda: details()["viewers"] == "1", 30, details)  # the worker reports it once a second
    now = details()
    assert now["codec"] == "H.264" and now["size"] == "1280 × 720"
    assert now["delay"].endswith(" s") and now["bits"].endswith("bit/s") and now["rate"].endswith("/s")


def test_a_url_as_people_write_it_finds_its_stream(gateway, browser, small):
    """The server says which stream a pasted URL is, and how to show it without its password."""
    url = small.url("/As-Written?a=1", user="me", password="p@ssword").replace("rtsp://", "RTSP://") \
        .replace("127.0.0.1", "LocalHost")
    shown = f"localhost:{small.port}/As-Written?a=1"
    quoted = urllib.parse.quote(url, safe="")

    browser.open(page(gateway, f"/#layout=1&cam_url={quoted}"))
    wait_states(browser, {shown: "live"})
    browser.find(".tile").click()
    wait_for(lambda: browser.run("return document.querySelector('[data-part=viewers]').textContent") == "1", 30,
             "the number of viewers in the tile")
    assert "p@ss" not in browser.run("return document.body.innerText")

    browser.open(page(gateway, f"/play?cam_url={url}"))
    wait_live(browser)
    wait_for(lambda: browser.find("#name").text == shown, 30, "the name")
    browser.find("#stats-button").click()
    wait_for(lambda: browser.find("#stat-viewers").text == "1", 30, "the number of viewers in the player")
    wait_for(lambda: browser.find("#stat-camera").text.startswith("H.264"), 30, "what the camera sends")
    [stream] = api(gateway, f"/api/streams?cam_url={quoted}")["streams"]
    assert stream["camera_url"].endswith(shown) and stream["name"] is None


SETTLED = """
const [wanted] = arguments;
const tiles = [...document.querySelectorAll('.tile')];
const seen = (tile) => { const {top, bottom} = tile.getBoundingClientRect(); return bottom > 0 && top < innerHeight; };
const paused = tiles.filter((tile) => !seen(tile)).length;
const live = tiles.filter((tile) => seen(tile) && wanted[tile.tile.label] === 'live').length;
const text = `${live} of ${tiles.length - paused} live` + (paused ? `, ${paused} paused` : '');
return tiles.every((tile) => tile.dataset.state === (seen(tile) ? wanted[tile.tile.label] : 'idle')) &&
    document.querySelector('#summary').textContent === text;
"""


def shoot(browser, name, wanted):
    """In three widths and both colour schemes, when everything is in the state that it will stay in."""
    for width, height in ((1280, 800), (820, 1000), (390, 780)):
        browser.resize(width, height)
        wait_for(lambda: browser.run(SETTLED, wanted), 120,
                 lambda: f"{wanted}; {browser.find('#summary').text}: {browser.run(f'return {STATES}')}", interval=0.2)
        for scheme in ("light", "dark"):
            browser.set_scheme(scheme)
            browser.run("return new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")
            browser.screenshot(os.path.join(SHOTS, f"{name}-{scheme}-{width}.jpg"))


def test_screenshots(gateway, browser):
    """For docs/ (CAM_SCREENSHOTS names the directory) and for whoever changes the page."""
    cams = {1: ["front-door"], 4: ["front-door", "yard", "locked", "small-1"],
            9: ["front-door", "yard", "locked", *(f"small-{i}" for i in range(1, 7))]}
    try:
        for layout, names in cams.items():
            browser.open(dashboard(gateway, *names, layout=layout))
            shoot(browser, f"dashboard-{layout}", {n: "retrying" if n == "locked" else "live" for n in names})
        browser.resize(1280, 800)
        browser.open(page(gateway, "/play?cam=front-door"))
        wait_live(browser)
        browser.find("#stats-button").click()
        browser.wait("[...document.querySelectorAll('#stats dd')].every((d) => d.textContent !== '–')", 60,
                     "statistics")
        browser.screenshot(os.path.join(SHOTS, "player-dark-1280.jpg"))
    finally:
        browser.set_scheme("dark")
        browser.resize(1280, 800)
