"""Forty cameras, of which some are silent, one rejects the password and two can die; and what the page says of each."""
import contextlib
import re
import socket
import time

from . import fake_rtsp
from .wait import wait_for

GOOD, SILENT, DYING = 24, 13, 2

# Silent cameras stay silent for longer than a test lasts: who waits for one of them waits in vain.
PATIENT = """
[camera]
connect_timeout_ms = 60000
stall_timeout_ms = 10000
idle_timeout_ms = 1000
reconnect_window_ms = 60000
"""
# When each tile came into each state, in seconds since the page was asked for; all WebSockets of the page, and how many
# of them were opening at the same time at most.
RECORDER = """
window.sockets = [];
window.mostOpening = 0;
window.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    window.sockets.push(this);
    const opening = window.sockets.filter(({readyState}) => readyState === WebSocket.CONNECTING);
    window.mostOpening = Math.max(window.mostOpening, opening.length);
  }
};
window.stateTimes = [];
document.addEventListener('tilestate', ({target}) => {
  const {state} = target.dataset;
  const last = window.stateTimes.findLast(([label]) => label === target.tile.label);
  if (state && last?.[1] !== state) window.stateTimes.push([target.tile.label, state, performance.now() / 1000]);
});
"""
STATES = "Object.fromEntries([...document.querySelectorAll('.tile')].map((t) => [t.tile.label, t.dataset.state]))"


class Wall:
    """with Wall() as wall: wall.config() is for a gateway; wall.dying are two cameras with close() and listen()."""

    def __init__(self, good=GOOD, silent=SILENT):
        self._stack = contextlib.ExitStack()
        video = fake_rtsp.media()
        self.camera = self._stack.enter_context(fake_rtsp.FakeCamera(video=video))
        self.locked = self._stack.enter_context(fake_rtsp.FakeCamera(video=video, user="admin", password="right"))
        self.dying = [self._stack.enter_context(fake_rtsp.FakeCamera(video=video)) for _ in range(DYING)]
        self._mute = self._stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))
        self.good = [f"good-{n:02d}" for n in range(1, good + 1)]
        self.silent = [f"silent-{n:02d}" for n in range(1, silent + 1)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def urls(self):
        """Name -> URL: the bad ones first, so that the good ones come after them in every queue."""
        mute = self._mute.getsockname()[1]
        return {
            **{name: f"rtsp://127.0.0.1:{mute}/{name}" for name in self.silent},
            "locked": self.locked.url("/locked", user="admin", password="wrong-secret"),
            **{f"dying-{n}": camera.url(f"/dying-{n}") for n, camera in enumerate(self.dying, 1)},
            **{name: self.camera.url(f"/{name}") for name in self.good},
        }

    def config(self, head=""):
        groups = {"silent": "Cellar", "good": "Gate"}
        always = {"locked": "always_on = yes\n"}  # it is known to be down whoever watches
        return head + "".join(
            f'[camera "{name}"]\nurl = {url}\ngroup = {groups.get(name.split("-")[0], "Yard")}\n{always.get(name, "")}'
            for name, url in self.urls().items())


def record(browser):
    """From now on, in every page of this browser."""
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": RECORDER})


def times(browser, state):
    """Label -> seconds from asking for the page to the first time in this state."""
    found = {}
    for label, name, at in browser.run("return window.stateTimes"):
        if name == state:
            found.setdefault(label, at)
    return found


def states(browser):
    return browser.run(f"return {STATES}")


def wait_states(browser, wanted, deadline=60, interval=0.05):
    """-> seconds that it took"""
    begun = time.monotonic()
    wait_for(lambda: wanted.items() <= states(browser).items(), deadline, lambda: f"{wanted}, got {states(browser)}",
             interval=interval)
    return time.monotonic() - begun


def show(gateway, browser, address=""):
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/{address}")


def labels(browser):
    return browser.run("return [...document.querySelectorAll('#grid > *')].map((e) => e.tile?.label ?? null)")


def part(browser, label, name):
    return browser.run("return [...document.querySelectorAll('.tile')].find((t) => t.tile.label === arguments[0])"
                       ".querySelector(`[data-part=${arguments[1]}]`).textContent", label, name)


def text(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).textContent", selector)


def wait_text(browser, selector, wanted):
    wait_for(lambda: re.search(wanted, text(browser, selector)), 30, lambda: f"{wanted}: {text(browser, selector)}")


def press(browser, *keys):
    browser.driver.switch_to.active_element.send_keys(*keys)
