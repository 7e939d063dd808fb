"""Every example of docs/embedding.md, as printed there, from a page of another origin."""
import functools
import http.server
import importlib.util
import os
import re
import shutil
import subprocess
import threading

import pytest

from conftest import QUICK
from lib import fake_rtsp
from lib.cameras import ROOT
from lib.gateway import Gateway
from lib.http import request
from lib.wait import wait_for

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(browser_module.browser_missing() is not None, reason=str(browser_module.browser_missing()))

KEY = "signing-key-of-the-test"
JESSIBUCA = os.environ.get("CAM_JESSIBUCA")  # a folder with jessibuca.js, decoder.js, decoder.wasm
STUB = """
window.Jessibuca = class {
  constructor(options) { this.options = options; }
  async play(url) {
    const {container, decoder} = this.options;
    const answer = await fetch(url);
    const {value} = await answer.body.getReader().read();
    window.played = container.clientWidth > 0 && decoder === 'decoder.js' && url.includes('.flv') &&
      String.fromCharCode(...value.slice(0, 3)) === 'FLV';
  }
};
"""


def examples(heading, language):
    """The code blocks of a section."""
    with open(os.path.join(ROOT, "docs", "embedding.md"), encoding="utf-8") as file:
        section = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", file.read(), re.S | re.M).group(1)
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.S | re.M)
    assert found, f"no {language} example below {heading}"
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def camera():
    with fake_rtsp.FakeCamera(video=fake_rtsp.media(size="640x360")) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(camera, tmp_path_factory):
    config = f'{QUICK}[camera "front-door"]\nurl = {camera.url("/door")}\n'
    with Gateway(tmp_path_factory.mktemp("gateway"), config) as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        yield one


@pytest.fixture
def show(browser, gateway, tmp_path):
    """show(text): open an example in the browser, with the gateway's own address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def open_page(text):
        (tmp_path / "index.html").write_text(addressed(text, gateway))
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        return browser

    yield open_page
    browser.driver.get("about:blank")
    server.shutdown()
    server.server_close()


def addressed(text, gateway):
    return (text.replace("HOST:8005", f"127.0.0.1:{gateway.flv_port}")
            .replace("HOST:8006", f"127.0.0.1:{gateway.snapshot_port}"))


def wait_pictures(browser, count=20):
    shown = "const v = document.querySelector('video'); return v ? v.getVideoPlaybackQuality().totalVideoFrames : 0"
    wait_for(lambda: browser.run(shown) >= count, 60, lambda: browser.run("return document.body.innerText"), interval=0.2)


def test_iframe(show):
    browser = show(examples("iframe", "html")[0])
    browser.driver.switch_to.frame(browser.find("iframe"))
    wait_pictures(browser)
    assert browser.run("return document.querySelector('#name').textContent") == "front-door"
    browser.driver.switch_to.default_content()


def test_mpegts(show, camera):
    """Plays; says why when the camera is away; plays again by itself."""
    camera.close()
    try:
        browser = show(examples("mpegts.js", "html")[0])
        wait_for(lambda: "refused" in browser.run("return document.querySelector('#error').textContent"), 60,
                 "the server's own words", interval=0.2)
    finally:
        camera.listen()
    wait_pictures(browser)
    assert browser.run("return document.querySelector('#error').textContent") == ""


def test_jessibuca(show, tmp_path):
    if JESSIBUCA:
        for name in ("jessibuca.js", "decoder.js", "decoder.wasm"):
            shutil.copy(os.path.join(JESSIBUCA, name), tmp_path)
    else:
        (tmp_path / "jessibuca.js").write_text(STUB)
    browser = show(examples("jessibuca", "html")[0])
    if JESSIBUCA:
        browser.run("player.on('start', () => { window.played = true; })")
    wait_for(lambda: browser.run("return window.played === true"), 60, "jessibuca's first picture", interval=0.2)


@pytest.mark.parametrize("number", [0, 1])
def test_pictures(show, number):
    browser = show(examples("Pictures", "html")[number])
    wait_for(lambda: browser.run("return document.querySelector('img').naturalWidth") == 640, 30, "a picture",
             interval=0.1)
    if number == 0:
        first = browser.run("return document.querySelector('img').src")
        wait_for(lambda: browser.run("const i = document.querySelector('img'); return [i.src, i.complete, i.naturalWidth]")
                 not in ([first, True, 640], [first, False, 640]), 30, "the next picture", interval=0.1)


@pytest.mark.parametrize("language, command", [("python", ["/usr/bin/python3", "-"]),
                                               ("js", ["node", "--input-type=module", "-"])])
def test_signed_urls(make_gateway, camera, language, command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    gateway = make_gateway(f'{QUICK}[access]\nsigning_key = {KEY}\n[camera "front-door"]\nurl = {camera.url("/door")}\n',
                           secrets=[KEY])
    script = addressed(examples("Signed URLs", language)[0], gateway).replace("'KEY'", f"'{KEY}'").replace('"KEY"', f'"{KEY}"')
    urls = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert len(urls) == 2
    for url, port, kind in zip(urls, (gateway.flv_port, gateway.snapshot_port), ("video/x-flv", "image/jpeg")):
        target = url.split(f":{port}")[1]
        assert request(port, target.replace("front-door", "other")).status == 401
        answer = request(port, target, "HEAD")
        assert (answer.status, answer.headers["content-type"]) == (200, kind)


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="python3-opencv is not installed")
def test_opencv(gateway):
    script = addressed(examples("Programs", "python")[0], gateway) + "\nprint(ok, picture.shape)\n"
    done = subprocess.run(["/usr/bin/python3", "-"], input=script, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n")[0] == "True (360, 640, 3)"
