"""Players of other people's pages, with their defaults: mpegts.js and flv.js in Chromium, from another origin."""
import functools
import http.server
import os
import shutil
import tempfile
import threading

from .browser_picture import PICTURE_TAKER, grey_values
from .cameras import ROOT
from .wait import wait_for

MODULES = os.path.join(ROOT, "master", "web", "node_modules")
LIBRARIES = {"mpegts.js": ("mpegts", os.path.join(MODULES, "mpegts.js/dist/mpegts.js")),
             "flv.js": ("flvjs", os.path.join(MODULES, "flv.js/dist/flv.min.js"))}
WIDTH, HEIGHT = 320, 180  # of the pictures taken

# Plays a URL and notes, in ms since the epoch: when it was asked for, when pictures were shown and their media times,
# pictures at some times after the request, what went wrong.
PLAY = PICTURE_TAKER + """
const [library, url, config, looks, width, height] = arguments;
const video = document.querySelector('video');
const player = window[library].createPlayer({type: 'flv', isLive: true, url}, config);
const seen = window.seen = {errors: [], ended: false, shown: [], looks: []};
const take = pictureTaker(width, height);
function onFrame(_, {mediaTime}) {
  seen.shown.push([Date.now(), mediaTime]);
  video.requestVideoFrameCallback(onFrame);
}
video.requestVideoFrameCallback(onFrame);
player.on(window[library].Events.ERROR, (...what) => seen.errors.push(what.slice(0, 2).join(' ')));
player.on(window[library].Events.LOADING_COMPLETE, () => { seen.ended = true; });
player.attachMediaElement(video);
for (const ms of looks) setTimeout(() => seen.looks.push(take(video)), ms);
seen.asked = Date.now();
player.load();
player.play();
"""


def library_missing(library):
    """Why that player cannot be tried here, or None."""
    path = LIBRARIES[library][1]
    return None if os.path.exists(path) else f"{path} is missing: (cd master/web && npm ci)"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class PlayerPage:
    """with PlayerPage(browser, "flv.js") as page: page.play(url)"""

    def __init__(self, browser, library="mpegts.js"):
        self.browser = browser
        self.name, path = LIBRARIES[library]
        self._folder = tempfile.TemporaryDirectory(prefix="player-")
        shutil.copy(path, os.path.join(self._folder.name, "player.js"))
        with open(os.path.join(self._folder.name, "index.html"), "w", encoding="utf-8") as file:
            file.write("<!doctype html><video muted></video><script src=player.js></script>")
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(_Quiet, directory=self._folder.name))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{self._server.server_port}/")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.driver.get("about:blank")  # the player's connection ends
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def play(self, url, looks_ms=(), **config):
        self.browser.run(PLAY, self.name, url, config, list(looks_ms), WIDTH, HEIGHT)

    def asked(self):
        """When the stream was asked for, s since the epoch."""
        return self.browser.run("return window.seen.asked") / 1000

    def shown(self):
        """[(s since the epoch, media time)] of the pictures shown so far."""
        return [(at / 1000, media) for at, media in self.browser.run("return window.seen.shown")]

    def wait_looks(self, count, deadline=60):
        """[(s since the epoch, array of grey values)] taken looks_ms after play()."""
        wait_for(lambda: self.browser.run("return window.seen.looks.length") >= count, deadline, "the pictures",
                 interval=0.1)
        return [(at / 1000, grey_values(text, WIDTH, HEIGHT))
                for at, text in self.browser.run("return window.seen.looks")]

    def wait_shown(self, more, deadline=60):
        before = len(self.shown())
        wait_for(lambda: len(self.shown()) >= before + more, deadline,
                 lambda: f"{more} more pictures; errors: {self.errors()}", interval=0.2)

    def size(self):
        return tuple(self.browser.run("const v = document.querySelector('video'); "
                                      "return [v.videoWidth, v.videoHeight]"))

    def errors(self):
        return self.browser.run("return window.seen.errors")

    def ended(self):
        """Has the server ended the stream?"""
        return self.browser.run("return window.seen.ended")

    def sound_bytes(self):
        """Decoded so far."""
        return self.browser.run("return document.querySelector('video').webkitAudioDecodedByteCount")
