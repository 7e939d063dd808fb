"""The dashboard with forty cameras, of which 13 are silent, one rejects the password and two die."""
import re
import time

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from lib import wall as lib_wall
from lib.gateway import Gateway
from lib.http import Viewer, request
from lib.wait import wait_for
from lib.wall import PATIENT, labels, part, press, show, text, wait_text

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(browser_module.browser_missing() is not None, reason=str(browser_module.browser_missing()))

SINCE = r"^since \d\d:\d\d:\d\d \(\d+ (s|min)\)$"


@pytest.fixture(scope="module")
def wall():
    with lib_wall.Wall() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(wall, tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("wall"), wall.config(PATIENT), secrets=["wrong-secret"]) as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        lib_wall.record(one)
        yield one


def touch(browser, kind, *points):
    browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def drag_by_finger(browser, start, end):
    """From the middle of one place of the grid to that of another one, as far as both are in sight."""
    middles = browser.run("return [...document.querySelector('#grid').children].map((e) => { const b = "
                          "e.getBoundingClientRect(); return {x: b.left + b.width / 2, y: b.top + b.height / 2}; })")
    touch(browser, "touchStart", middles[start])
    browser.wait("document.querySelector('[data-dragged]') !== null", 30, "the tile to be lifted")
    touch(browser, "touchMove", middles[end])
    browser.wait("document.querySelector('#grid').children[arguments[0]].dataset.drop === 'true'", 30, "its place", end)
    touch(browser, "touchEnd")
    browser.wait("document.querySelector('[data-dragged], [data-drop=true]') === null", 30, "the end")


def test_silent_cameras_hold_nobody_up(gateway, browser, wall):
    """The good ones play while the silent ones, more than a browser has connections, have said nothing yet."""
    good = wall.good[:4]
    show(gateway, browser, "#layout=25&" + "&".join(f"cam={name}" for name in [*wall.silent, "locked", *good]))
    lib_wall.wait_states(browser, {**dict.fromkeys(good, "live"), **dict.fromkeys(wall.silent, "connecting"),
                                   "locked": "retrying"})
    assert part(browser, "locked", "state").startswith("The camera rejects the password")
    # Chromium holds pages back that open many WebSockets at a time: the seventeenth by 1 to 5 s.
    assert browser.run("return mostOpening") <= 8
    assert browser.console(loads=True) == []


def test_streams_begin_before_the_first_frame(gateway, browser, wall):
    """On a full wall that takes long, and observers tell what is in sight only then."""
    blind = {"source": "window.IntersectionObserver = class { observe() {} unobserve() {} };"}
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", blind)["identifier"]
    try:
        show(gateway, browser, f"#layout=4&cam={wall.good[0]}")
        lib_wall.wait_states(browser, {wall.good[0]: "live"})
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added})


def test_a_page_that_was_left_while_its_streams_opened(gateway, browser, wall):
    """What it began does not hold up the next one, nor the way back."""
    cameras = "#layout=25&" + "&".join(f"cam={name}" for name in [*wall.silent, *wall.good[:8]])
    for _ in range(3):
        browser.driver.get("about:blank")
        browser.driver.get(f"http://127.0.0.1:{gateway.flv_port}/{cameras}")
        browser.wait("sockets.length > 0", 30, "a stream that opens")
    lib_wall.wait_states(browser, dict.fromkeys(wall.good[:8], "live"))
    browser.driver.get("about:blank")
    browser.driver.back()
    lib_wall.wait_states(browser, dict.fromkeys(wall.good[:8], "live"))
    assert browser.console() == []


def test_dead_is_called_dead(gateway, browser, wall):
    show(gateway, browser, "#layout=4&cam=dying-1&cam=dying-2&cam=good-01")
    lib_wall.wait_states(browser, {"dying-1": "live", "dying-2": "live", "good-01": "live"})
    for camera in wall.dying:
        camera.close()
    try:
        lib_wall.wait_states(browser, {"dying-1": "retrying", "dying-2": "retrying"})
        assert part(browser, "dying-1", "state") == "The camera cannot be reached"
        wait_for(lambda: re.match(SINCE, part(browser, "dying-1", "since")), 30,
                 lambda: part(browser, "dying-1", "since"))
        assert part(browser, "dying-1", "still-time").startswith("Picture of ")
        assert browser.canvas_spread(".tile canvas") > 10, "the last picture stays"
        assert browser.run("return getComputedStyle(document.querySelector('.tile canvas')).opacity") == "0.45"
        wait_text(browser, "#down", r"down$")
        assert "down" in browser.run("return document.title")
        assert lib_wall.states(browser)["good-01"] == "live"
    finally:
        for camera in wall.dying:
            camera.listen()
    lib_wall.wait_states(browser, {"dying-1": "live", "dying-2": "live"}, deadline=90)
    assert part(browser, "dying-1", "since") == ""
    assert browser.console() == []


def test_a_camera_that_falls_silent(gateway, browser, wall):
    """The server does not give it up yet."""
    show(gateway, browser, "#layout=1&cam=dying-2")
    lib_wall.wait_states(browser, {"dying-2": "live"})
    wall.dying[1].muted.set()
    try:
        lib_wall.wait_states(browser, {"dying-2": "silent"})
        assert part(browser, "dying-2", "state") == "No picture from the camera, waiting for it"
        assert browser.run("return getComputedStyle(document.querySelector('.tile video')).opacity") == "0.45"
    finally:
        wall.dying[1].muted.clear()
    lib_wall.wait_states(browser, {"dying-2": "live"}, deadline=90)


def test_a_camera_is_shown_as_soon_as_the_server_has_it(gateway, browser, wall):
    """A tile that waits for its next attempt does not wait when the server streams the camera for somebody else."""
    wall.dying[0].close()
    try:
        show(gateway, browser, "#layout=1&cam=dying-1")
        # Attempts come at random times, which are no whole numbers: from now on there are none.
        browser.run("const real = setTimeout; window.setTimeout = (call, ms = 0, ...rest) => "
                    "Number.isInteger(ms) ? real(call, ms, ...rest) : 0;")
        lib_wall.wait_states(browser, {"dying-1": "retrying"})
        time.sleep(3)  # the attempt that was under way is over
    finally:
        wall.dying[0].listen()
    with Viewer(gateway.flv_port, "/?cam=dying-1"):
        lib_wall.wait_states(browser, {"dying-1": "live"})


def test_pages_groups_and_layouts(gateway, browser, wall):
    show(gateway, browser)
    wait_text(browser, "#page", "^1–16 of 40$")
    assert labels(browser)[:13] == wall.silent
    press(browser, Keys.PAGE_DOWN)
    wait_text(browser, "#page", "^17–32 of 40$")
    assert browser.run("return location.hash") == "#page=2"
    assert labels(browser) == wall.good[:16]
    browser.find("#next").click()
    wait_text(browser, "#page", "^33–40 of 40$")
    assert labels(browser) == [*wall.good[16:], *[None] * 8]
    assert browser.run("return document.querySelector('#next').disabled")

    browser.run("const s = document.querySelector('#group'); s.value = 'Yard'; s.dispatchEvent(new Event('change'))")
    assert browser.run("return location.hash") == "#group=Yard"
    assert labels(browser) == ["locked", "dying-1", "dying-2", None]
    assert browser.run("return document.querySelector('#pages').hidden")

    show(gateway, browser, "#" + "&".join(f"cam={name}" for name in wall.good[:5]))
    wait_for(lambda: browser.run("return document.querySelector('#grid').dataset.layout") == "6", 30, "2 × 3")
    columns = "return getComputedStyle(document.querySelector('#grid')).gridTemplateColumns.split(' ').length"
    assert browser.run(columns) == 3
    browser.run("document.querySelector('.tile').focus()")
    press(browser, "5")
    assert browser.run("return location.hash").startswith("#layout=1%2B5&cam=good-01")
    sizes = browser.run("return [...document.querySelectorAll('.tile')].map((t) => t.clientWidth)")
    assert sizes[0] > 1.8 * sizes[1] and len(set(sizes[1:])) == 1
    lib_wall.wait_states(browser, dict.fromkeys(wall.good[:5], "live"))
    assert browser.console() == []


def test_tiles_change_places(gateway, browser, wall):
    show(gateway, browser, "#layout=4&cam=good-01&cam=good-02&cam=good-03")
    lib_wall.wait_states(browser, dict.fromkeys(wall.good[:3], "live"))
    browser.run("document.querySelector('.tile').focus()")
    press(browser, Keys.SHIFT + Keys.ARROW_RIGHT)
    assert labels(browser) == ["good-02", "good-01", "good-03", None]
    assert browser.run("return document.activeElement.tile.label") == "good-01"
    press(browser, Keys.SHIFT + Keys.ARROW_DOWN)
    assert labels(browser) == ["good-02", None, "good-03", "good-01"]
    assert browser.run("return location.hash") == "#layout=4&cam=good-02&cam=&cam=good-03&cam=good-01"
    tiles = browser.driver.find_elements("css selector", ".tile")
    ActionChains(browser.driver).drag_and_drop(tiles[0], tiles[1]).perform()
    wait_for(lambda: labels(browser) == ["good-03", None, "good-02", "good-01"], 30, lambda: labels(browser))
    drag_by_finger(browser, 0, 3)
    assert labels(browser) == ["good-01", None, "good-02", "good-03"]
    # A finger that moves at once scrolls; Escape, and what is no place, change nothing.
    browser.run("""const [tile, , other] = document.querySelector('#grid').children;
        const at = (element) => { const box = element.getBoundingClientRect();
                                  return {clientX: box.left + 40, clientY: box.top + 40}; };
        const send = (name, element, pointerType) => element.dispatchEvent(new PointerEvent(name, {
            bubbles: true, cancelable: true, isPrimary: true, pointerId: 7, buttons: 1, pointerType,
            ...at(element)}));
        send('pointerdown', tile, 'touch'); send('pointermove', other, 'touch'); send('pointerup', other, 'touch');
        send('pointerdown', tile, 'mouse'); send('pointermove', other, 'mouse');
        dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'})); send('pointerup', other, 'mouse');
        send('pointerdown', tile, 'mouse'); send('pointermove', other, 'mouse');
        send('pointerup', document.querySelector('.bar'), 'mouse');""")
    assert labels(browser) == ["good-01", None, "good-02", "good-03"]
    assert not browser.run("return document.querySelector('[data-dragged], [data-drop=true]')")
    lib_wall.wait_states(browser, dict.fromkeys(wall.good[:3], "live"))
    # The server's list with an order of its own: what the server gets later follows.
    show(gateway, browser, "#group=Yard&all=1&cam=dying-2&cam=dying-2")
    wait_for(lambda: labels(browser) == ["dying-2", "locked", "dying-1", None], 30, lambda: labels(browser))


def test_a_camera_is_added_once(gateway, browser):
    def choose(name):
        browser.run("document.querySelector('#add-name').value = arguments[0]", name)
        browser.find("#add-submit").click()
    show(gateway, browser, "#group=Yard")
    wait_for(lambda: labels(browser) == ["locked", "dying-1", "dying-2", None], 30, lambda: labels(browser))
    browser.find("#add").click()
    choose("dying-1")
    assert labels(browser) == ["locked", "dying-1", "dying-2", None]
    assert browser.run("return document.activeElement.tile.label") == "dying-1"
    browser.find("#grid > .empty button").click()
    choose("locked")
    assert labels(browser) == ["dying-1", "dying-2", "locked", None]
    assert browser.run("return location.hash") == "#layout=4&group=Yard&all=1&cam=dying-1&cam=dying-2&cam=locked"
    lib_wall.wait_states(browser, {"dying-1": "live", "dying-2": "live"})  # no page is left while its streams open


def test_no_page_turns_under_a_tile_that_is_dragged(gateway, browser, wall):
    show(gateway, browser, "#layout=2&group=Gate&cycle=3")
    wait_for(lambda: set(labels(browser)[:1]) & set(wall.good), 30, lambda: labels(browser))
    before = labels(browser)
    tiles = browser.driver.find_elements("css selector", ".tile")
    ActionChains(browser.driver).click_and_hold(tiles[0]).move_to_element(tiles[1]).pause(4).release().perform()
    after = labels(browser)
    assert after == before[::-1]
    wait_for(lambda: not set(labels(browser)) & set(before), 30, "the next page")
    press(browser, "c")  # no page is left while its streams open
    wait_for(lambda: set(lib_wall.states(browser).values()) == {"live"}, 60, lambda: lib_wall.states(browser))


def test_websockets_that_fail_for_a_while(gateway, browser, wall):
    """Streams come by HTTP then, three at a time; a tile that waits finds that WebSockets pass again.  One of them does not
    even fail: nothing ever answers."""
    cameras = wall.good[:4]
    show(gateway, browser, "#layout=4&" + "&".join(f"cam={name}" for name in cameras))
    lib_wall.wait_states(browser, dict.fromkeys(cameras, "live"))
    browser.run("""window.blocked = {}; window.passed = 0;
        window.patient = setTimeout; // 8 s are long to wait for what never comes
        window.setTimeout = (call, ms, ...rest) => patient(call, ms === 8000 ? 200 : ms, ...rest);
        window.WebSocket = new Proxy(WebSocket, {construct: (target, args) => {
            passed += window.blocked === null;
            if (window.blocked === null) return new target(...args);
            const name = /cam=([^&]*)/.exec(args[0])[1];
            blocked[name] = (blocked[name] ?? 0) + 1;
            const failing = {close() {}};
            if (name !== 'good-01') setTimeout(() => failing.onerror?.({code: 1006, message: 'blocked by the test'}));
            return failing; }});""")
    for name in cameras:
        assert request(gateway.snapshot_port, f"/api/streams/{name}", "DELETE").status == 204

    def words():
        return [part(browser, name, "state") for name in cameras]
    wait_for(lambda: sorted(words()) == ["Live"] * 3 + ["Waiting for a free connection"], 60, words)
    assert all(n >= 3 for n in browser.run("return Object.values(blocked)"))
    browser.run("window.blocked = null; window.setTimeout = patient")
    lib_wall.wait_states(browser, dict.fromkeys(cameras, "live"))
    assert browser.run("return passed") == 1


def test_find_and_status(gateway, browser, wall):
    show(gateway, browser, "#layout=4&cam=good-01&cam=good-02&cam=locked")
    lib_wall.wait_states(browser, {"good-01": "live", "good-02": "live", "locked": "retrying"})
    browser.run("document.querySelector('.tile').focus()")
    press(browser, "/")
    wait_text(browser, "#find-count", "^40 found$")
    press(browser, "gate 07")
    wait_text(browser, "#find-count", "^1 found$")
    press(browser, Keys.ENTER)
    wait_for(lambda: labels(browser)[:2] == ["good-07", "good-02"], 30, lambda: labels(browser))

    press(browser, "t")
    wait_for(lambda: browser.run("return document.querySelectorAll('#status-rows tr').length") == 40, 30, "forty rows")
    assert browser.run("return location.hash").endswith("&status=1&cam=good-07&cam=good-02&cam=locked")

    def row(name):
        return browser.run("return Object.fromEntries([...[...document.querySelectorAll('#status-rows tr')].find((r) => "
                           "r.querySelector('th').textContent === arguments[0]).querySelectorAll('[data-part]')]"
                           ".map((e) => [e.dataset.part, e.textContent]))", name)
    wait_for(lambda: row("good-02")["codec"].startswith("H.264"), 30, lambda: row("good-02"))
    assert row("good-02")["size"] == "320 × 180"
    wait_for(lambda: row("good-02")["last"] != "–", 30, lambda: row("good-02"))
    wait_for(lambda: row("locked")["state"] == "Down", 30, lambda: row("locked"))
    assert row("locked")["reason"].startswith("The camera rejects the password; next try at ")
    browser.find("#status-filter").send_keys("down rejects")
    wait_text(browser, "#status-count", "^1 found$")
    browser.find("#status-rows button").click()
    wait_text(browser, "#status-note", r"\[access\] token")
    # A refusal is an answer that is not 2xx; nothing else is to be heard.
    assert browser.console() == []


def test_next_and_previous(gateway, browser, wall):
    show(gateway, browser, "#layout=1&group=Gate")
    wait_text(browser, "#page", "^1–1 of 24$")
    press(browser, Keys.ARROW_RIGHT)
    wait_for(lambda: labels(browser) == ["good-02"], 30, lambda: labels(browser))
    browser.driver.get(browser.run("return document.querySelector('[data-part=open]').href"))
    wait_for(lambda: browser.run("return document.body.dataset.state") == "live", 60, "the player")
    browser.wait("!document.querySelector('#next').hidden", 30, "the way to the next camera")
    browser.find("#next").click()
    wait_for(lambda: text(browser, "#name") == "good-03", 30, lambda: text(browser, "#name"))
    browser.wait("!document.querySelector('#next').hidden", 30, "the way to the next camera")
    press(browser, Keys.ARROW_LEFT)
    wait_for(lambda: text(browser, "#name") == "good-02", 30, lambda: text(browser, "#name"))
    assert browser.run("return document.querySelector('#back').href").endswith("/#layout=1&group=Gate&page=2")


def test_kiosk_and_cycle(gateway, browser, wall):
    show(gateway, browser, "#layout=2&group=Gate&cycle=5&kiosk=1")
    history = browser.run("return history.length")
    wait_for(lambda: labels(browser) == wall.good[2:4], 60, "the second page")

    def later_page_is_live():
        states = lib_wall.states(browser)
        return not set(states) & set(wall.good[:4]) and set(states.values()) == {"live"}
    wait_for(later_page_is_live, 60, lambda: lib_wall.states(browser), interval=0.05)
    assert not browser.find(".bar").is_displayed()
    assert browser.run("return getComputedStyle(document.querySelector('.tile')).cursor") == "none"
    assert browser.run("return document.querySelector('#grid').getBoundingClientRect().bottom <= innerHeight + 1")
    assert browser.run("return history.length") == history, "turning pages leaves none"
    assert browser.console() == []


def test_awake_and_full_screen(gateway, browser):
    """A wall keeps its screen awake and fills it; nobody else does."""
    show(gateway, browser, "#layout=1&cam=good-01")
    lib_wall.wait_states(browser, {"good-01": "live"})
    browser.run("""window.locks = [];
        Object.defineProperty(navigator, 'wakeLock', {value: {request: async (kind) => {
            const lock = Object.assign(new EventTarget(), {kind, held: true, release() {
                lock.held = false; lock.dispatchEvent(new Event('release')); }});
            locks.push(lock);
            return lock; }}});""")

    def locks():
        return browser.run("return locks.map(({kind, held}) => [kind, held])")

    def wait_full(wanted):
        browser.wait("(document.fullscreenElement === document.documentElement) === arguments[0]", 30,
                     f"full screen: {wanted}", wanted)
    press(browser, "f")
    wait_full(True)
    press(browser, "f")
    wait_full(False)
    assert locks() == []
    press(browser, "k")
    wait_for(lambda: locks() == [["screen", True]], 30, locks)
    # The browser takes the lock when the page is hidden.
    browser.run("locks[0].release(); document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(lambda: locks() == [["screen", False], ["screen", True]], 30, locks)
    middle = browser.run("return {x: innerWidth / 2, y: innerHeight / 2}")
    touch(browser, "touchStart", middle)
    touch(browser, "touchEnd")
    wait_full(True)
    press(browser, "k")
    wait_for(lambda: locks() == [["screen", False], ["screen", False]], 30, locks)
    press(browser, "f")
    wait_full(False)
    assert lib_wall.states(browser) == {"good-01": "live"}
    assert browser.console() == []


def test_the_list_follows_a_reload(gateway, browser, wall):
    """A wall that runs for weeks shows what was added, without a reload of the page."""
    show(gateway, browser, "#group=Yard")
    wait_for(lambda: labels(browser) == ["locked", "dying-1", "dying-2", None], 30, lambda: labels(browser))
    added = f'[camera "new"]\nurl = {wall.camera.url("/new")}\ngroup = Yard\ntitle = 新\n'
    gateway.reload(wall.config(PATIENT) + added)
    wait_for(lambda: labels(browser) == ["locked", "dying-1", "dying-2", "新"], 60, lambda: labels(browser))
    lib_wall.wait_states(browser, {"新": "live"})
    gateway.reload(wall.config(PATIENT))
    wait_for(lambda: labels(browser) == ["locked", "dying-1", "dying-2", None], 60, lambda: labels(browser))


def test_a_key_turns_pages(gateway, browser):
    show(gateway, browser, "#status=1")
    press(browser, "c")
    assert browser.run("return location.hash") == "#cycle=15&status=1"
    press(browser, "c")
    assert browser.run("return location.hash") == "#status=1"
