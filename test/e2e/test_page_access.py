"""The page where the server wants a token: the token's field, titles, Chinese, links for others, under a proxy's path."""
import contextlib
import html
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

from conftest import QUICK
from lib import fake_rtsp, processes
from lib.cameras import ROOT
from lib.gateway import Gateway
from lib.http import request
from lib.ports import free_port
from lib.scripted_rtsp import certificate
from lib.wait import wait_for

browser_module = pytest.importorskip("lib.browser", reason="selenium is not installed")
pytestmark = pytest.mark.skipif(browser_module.browser_missing() is not None, reason=str(browser_module.browser_missing()))

TOKEN, KEY = "token-of-the-test", "signing-key-of-the-test"


NGINX = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {directory}/access.log;
    {temporary}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {directory}/cert.pem;
        ssl_certificate_key {directory}/key.pem;
        {locations}
    }}
}}
"""
CADDY = """
{{
	admin off
	auto_https disable_redirects
	skip_install_trust
}}
https://127.0.0.1:{port} {{
	tls {directory}/cert.pem {directory}/key.pem
	{locations}
}}
"""


def nginx(directory, port, locations):
    temporary = " ".join(f"{name}_temp_path {directory}/{name};" for name in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(NGINX.format(directory=directory, port=port, locations=locations,
                                                       temporary=temporary))
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-e", "stderr", "-c", str(directory / "nginx.conf")]


def caddyfile(directory, port, locations):
    (directory / "Caddyfile").write_text(CADDY.format(directory=directory, port=port, locations=locations))
    return [shutil.which("caddy") or "/usr/bin/caddy", "run", "--config", str(directory / "Caddyfile"),
            "--adapter", "caddyfile"]


@contextlib.contextmanager
def folder_of(proxy, gateway, directory):
    """A proxy with TLS and the lines of docs/embedding.md that put the gateway into a folder -> its address."""
    with open(os.path.join(ROOT, "docs", "embedding.md"), encoding="utf-8") as file:
        (locations,) = re.findall(rf"^```{proxy.__name__}\n(.*?)^```$", file.read(), re.S | re.M)
    locations = (locations.replace("127.0.0.1:8005", f"127.0.0.1:{gateway.flv_port}")
                 .replace("127.0.0.1:8006", f"127.0.0.1:{gateway.snapshot_port}"))
    certificate(directory)
    port = free_port()
    command = proxy(directory, port, locations)
    environment = {**os.environ, "HOME": str(directory), "XDG_DATA_HOME": str(directory),
                   "XDG_CONFIG_HOME": str(directory)}
    server = subprocess.Popen(command, env=environment, preexec_fn=processes.die_with_parent)
    try:
        def answers():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
            return server.poll() is not None
        wait_for(answers, 30, proxy.__name__)
        yield f"https://127.0.0.1:{port}/cams/"
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def camera():
    with fake_rtsp.FakeCamera(video=fake_rtsp.media(size="640x360")) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, camera):
    config = (f'{QUICK}[access]\ntoken = {TOKEN}\nsigning_key = {KEY}\n'
              f'[camera "door"]\nurl = {camera.url("/door")}\ntitle = 大门\n'
              f'[camera "yard"]\nurl = {camera.url("/yard")}\n')
    with Gateway(tmp_path_factory.mktemp("gateway"), config, secrets=[TOKEN, KEY]) as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with browser_module.Browser() as one:
        one.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        yield one


def wait_states(browser, selector=".tile", wanted=("live", "live")):
    states = f"return [...document.querySelectorAll('{selector}')].map((e) => e.dataset.state)"
    wait_for(lambda: browser.run(states) == list(wanted), 60, lambda: browser.run(states), interval=0.2)


def wait_text(browser, selector, text):
    wait_for(lambda: browser.find(selector).text == text, 30, lambda: browser.find(selector).text, interval=0.1)


def give_token(browser, token):
    wait_for(lambda: browser.run("return document.querySelector('#token-dialog').open"), 30, "the field for the token")
    browser.find("#token").send_keys(token)
    browser.find("#token-form button").click()


def links(browser):
    browser.find("#links-button").click()
    wait_for(lambda: browser.find("#link-snapshot").get_attribute("value") and browser.find("#links-note").text, 30,
             "the links", interval=0.1)
    return browser.run("return Object.fromEntries([...document.querySelectorAll('#links input')].map((i) => [i.id, i.value]))")


def test_from_the_token_to_a_signed_player(gateway, browser):
    """One walk through the page: token, tiles, their names, the player, links that somebody else opens."""
    page = f"http://127.0.0.1:{gateway.flv_port}/"
    browser.open(page)
    give_token(browser, "wrong")
    wait_text(browser, "#token-error", "The server does not accept this token")
    give_token(browser, TOKEN)
    wait_states(browser)
    assert TOKEN not in browser.run("return location.href + document.documentElement.outerHTML")
    assert browser.run("return [...document.querySelectorAll('.tile')].map((t) => t.tile.label)") == ["大门", "yard"]
    names = browser.run("return [...document.querySelectorAll('.tile [data-part=remove]')].map((b) => b.ariaLabel)")
    assert names == ["Remove: 大门", "Remove: yard"]
    stops = browser.run("return [...document.querySelectorAll('.tile, .tile *')].filter((e) => e.tabIndex >= 0 "
                        "&& e.offsetParent).map((e) => e.closest('.tile').tile.label)")
    assert set(stops) == {"大门"}, "one tile is in the order of the Tab key"
    browser.find("body").send_keys("?")
    assert "full screen" in browser.find("#key-dialog").text
    browser.find("#key-dialog button").click()

    browser.driver.get(browser.run("return document.querySelector('[data-part=open]').href"))
    wait_states(browser, "body", ["live"])
    wait_text(browser, "#name", "大门")
    assert browser.run("return document.querySelector('#back').href").startswith(page)
    found = links(browser)
    assert TOKEN not in str(found) and browser.find("#links-note").text.startswith("Signed:")
    for name in ("flv", "ws", "snapshot", "mjpeg", "iframe", "ffplay", "vlc"):
        assert "cam=door" in found[f"link-{name}"] and "signature=" in found[f"link-{name}"]
    with urllib.request.urlopen(found["link-snapshot"], timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"

    browser.run("sessionStorage.clear()")  # somebody else, in a frame without controls
    player = html.unescape(re.search('src="([^"]+)"', found["link-iframe"]).group(1))
    browser.open(player + "&controls=none&fit=cover")
    wait_states(browser, "body", ["live"])
    assert browser.console(loads=True) == []
    assert not browser.find(".bar").is_displayed()
    assert browser.run("return getComputedStyle(document.querySelector('video')).objectFit") == "cover"

    area = browser.find("main")
    ActionChains(browser.driver).scroll_from_origin(ScrollOrigin.from_element(area, 100, 50), 0, -200).perform()
    transform = "return document.querySelector('video').style.transform"
    wait_for(lambda: "scale(1.25)" in browser.run(transform), 30, lambda: browser.run(transform))
    ActionChains(browser.driver).double_click(area).perform()
    wait_for(lambda: browser.run(transform) == "", 30, lambda: browser.run(transform))


def test_raw_url_with_pairs_of_its_own(gateway, browser, camera):
    """The camera's pairs stay its own, whatever their names; the token goes, whatever follows it, a player's `.flv` too."""
    raw = f"cam_url={camera.url('/yard')}?x=1&audio=9&signature=theirs&cam=1&t=90"
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/play?{raw}&token={TOKEN}&av1=enhanced&t=1700000000&muted=0&_=1.flv")
    wait_states(browser, "body", ["live"])
    assert browser.run("return location.search") == f"?{raw}&av1=enhanced&t=1700000000&muted=0&_=1"
    wait_for(lambda: browser.find("#name").text.startswith("127.0.0.1"), 30, lambda: browser.find("#name").text)
    found = links(browser)
    assert TOKEN not in str(found) and browser.find("#links-note").text.startswith("Signed:")
    for url in (found["link-snapshot"], found["link-flv"]):
        assert raw.split("?")[1] in url
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.status == 200


def test_small_frames_keep_the_picture(gateway, browser):
    browser.resize(240, 135)
    try:
        browser.open(f"http://127.0.0.1:{gateway.flv_port}/play?cam=door&token={TOKEN}&muted=0")
        wait_states(browser, "body", ["live"])
        assert browser.run("return document.querySelector('video').clientHeight") == 135
        assert browser.run("return location.search") == "?cam=door&muted=0"
        ActionChains(browser.driver).move_to_element(browser.find("main")).perform()
        wait_for(lambda: browser.run("return getComputedStyle(document.querySelector('.bar')).opacity") == "1", 30,
                 "the controls under the pointer")
        box = browser.run("const {top, height} = document.querySelector('.bar').getBoundingClientRect(); return [top, height]")
        assert box[0] >= 0 and box[1] <= 70, box
        assert browser.run("return document.querySelector('video').muted === "
                           "(document.querySelector('#sound').getAttribute('aria-pressed') === 'false')")
    finally:
        browser.resize(1280, 800)


def words_of(language):
    """The page's words by their keys, from its sources."""
    path = os.path.join(ROOT, f"master/web/text.{language}.js")
    script = f"import words from {json.dumps('file://' + path)}; console.log(JSON.stringify(words))"
    told = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(told.stdout)


def test_chinese_and_back(gateway, browser):
    browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {
        "source": "Object.defineProperty(navigator, 'language', {get: () => 'zh-CN'})"})
    browser.open(f"http://127.0.0.1:{gateway.flv_port}/?token={TOKEN}")
    wait_states(browser)
    wait_text(browser, "#summary", "2 路中 2 路正在直播")
    assert browser.run("return document.documentElement.lang") == "zh-CN"
    assert list(words_of("en")) == list(words_of("zh"))
    latin = browser.run("return [...document.querySelectorAll('button, label, h1, h2, option, dt, .hint')]"
                        ".map((e) => e.textContent.trim()).filter((t) => /[A-Za-z]{4}/.test(t))")
    assert [t for t in latin if "RTMP" not in t and "RTSP" not in t and t not in ("English", "yard")] == [], latin
    browser.find("#language").click()
    wait_text(browser, "#summary", "2 of 2 live")
    browser.run("localStorage.clear()")


def asked_of(browser):
    return browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")


@pytest.mark.parametrize("proxy", [nginx, caddyfile])
def test_in_a_folder_of_a_proxy(gateway, browser, tmp_path, proxy):
    """https://host/cams/: every link is relative to it, snapshots and API included."""
    asked = []
    with folder_of(proxy, gateway, tmp_path) as folder:
        browser.open(f"{folder}?token={TOKEN}")
        wait_states(browser)
        asked += asked_of(browser)
        browser.driver.get(browser.run("return document.querySelector('[data-part=open]').href"))
        wait_states(browser, "body", ["live"])
        browser.find("#stats-button").click()
        wait_for(lambda: browser.find("#stat-viewers").text not in ("", "–"), 30, "the server's figures")
        assert browser.find("#stat-transport").text == "WebSocket"
        found = links(browser)
        assert found["link-flv"].startswith(f"{folder}live.flv?cam=door&expires=")
        assert found["link-snapshot"].startswith(f"{folder}snapshot?cam=door")
        assert browser.run("return document.querySelector('#back').href").startswith(folder)
        asked += asked_of(browser)
        assert browser.console(loads=True) == []
        browser.driver.get("about:blank")
    assert len(asked) > 10 and [address for address in asked if not address.startswith(folder)] == []


class AddDialog:
    """The dialog of the page at an address, where the server may let it save a camera with this URL."""
    SAVE_PART = "return !document.querySelector('#save-part').hidden"

    def __init__(self, browser, page, url):
        self.browser, self.page, self.url = browser, page, url

    def open(self):
        self.browser.open("about:blank")
        self.browser.open(self.page)
        self.browser.wait("document.querySelector('#grid').children.length > 0", 30, "the page")
        self.browser.wait("document.querySelector('#notice').hidden", 30, "the list of cameras")
        self.browser.find("#add").click()

    def saves(self):
        return self.browser.run(self.SAVE_PART)

    def fill(self, title):
        wait_for(lambda: self.open() or self.saves(), 60, "the part of the dialog that saves")
        self.browser.find("#add-url").send_keys(self.url)
        self.browser.find("#save").click()
        self.browser.find("#save-title").send_keys(title)

    def submit(self, name):
        self.browser.find("#save-name").clear()
        self.browser.find("#save-name").send_keys(name)
        self.browser.find("#add-submit").click()

    def wait_error(self, key):  # the browser may speak Chinese by now
        words = words_of(self.browser.run("return document.documentElement.lang")[:2])[key]
        wait_for(lambda: self.browser.find("#add-error").text == words, 30, lambda: self.browser.find("#add-error").text)

    def wait_added(self, name):
        shown = "return [...document.querySelectorAll('.tile')].map((t) => t.tile.camera.cam)"
        wait_for(lambda: self.browser.run(shown) == [name], 30, lambda: f"{name}: {self.browser.run(shown)}")


def test_saves_a_camera(make_gateway, browser, camera, tmp_path):
    """The Add dialog saves on the server where that lets it; the URL is then no part of the page's address."""
    config = (f'{QUICK}[access]\ntoken = {TOKEN}\nmanage_file = {tmp_path}/cameras.ini\nmanage = {{}}\n'
              '[camera "own"]\nurl = rtsp://127.0.0.1:9/\n')
    gateway = make_gateway(config.format("yes"), secrets=[TOKEN, "p@ss#1"])
    dialog = AddDialog(browser, f"http://127.0.0.1:{gateway.flv_port}/?token={TOKEN}#layout=1",
                       f"rtsp://admin:p@ss#1@127.0.0.1:{camera.port}/saved")

    def file():
        return (tmp_path / "cameras.ini").read_text(encoding="utf-8")
    dialog.fill("Gate")
    dialog.submit("大门")
    dialog.wait_error("name_wrong")
    dialog.submit("own")
    dialog.wait_error("camera_in_file")
    dialog.submit("")  # the title names it
    wait_states(browser, wanted=("live",))
    place = browser.run("return location.hash")
    assert place == "#layout=1&page=2", "it is one of the server's cameras, once"
    wait_text(browser, ".tile h2", "Gate")
    assert '[camera "gate"]\nurl = rtsp://admin:p%40ss%231@' in file()

    # a name that is taken: typed, it is refused; suggested, it gets a number, also if others took that meanwhile
    dialog.fill("Gate")
    dialog.submit("gate")
    dialog.wait_error("camera_exists")
    taken = request(gateway.snapshot_port, f"/api/cameras/gate-2?token={TOKEN}", "PUT",
                    body=b'{"camera_url": "rtsp://127.0.0.1:9/"}')
    assert taken.status == 201, taken.body
    dialog.submit("")
    dialog.wait_added("gate-3")
    for name in ("127.0.0.1", "127.0.0.1-2"):  # no Latin letter in the title: the host
        dialog.fill("后门")
        dialog.submit("")
        dialog.wait_added(name)
    assert re.findall(r'camera "(.*)"', file()) == ["gate", "gate-2", "gate-3", "127.0.0.1", "127.0.0.1-2"]

    gateway.reload(config.format("no"))
    dialog.open()
    assert not dialog.saves()
