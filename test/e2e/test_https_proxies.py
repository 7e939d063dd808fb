"""One host name with TLS: HAProxy, nginx and Caddy with their configurations of docs/, before one gateway and two.

Everything is below it: the page in a real browser, streams, WebSocket, snapshots, MJPEG, the API.
"""
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess

import pytest

from conftest import QUICK
from lib import browser as browser_module
from lib import fake_rtsp, processes
from lib.balancer import HAProxy, Nginx, substitute
from lib.flv import FlvReader
from lib.gateway import ROOT, Gateway
from lib.ports import free_port
from lib.http import Answer, connect, head_bytes, parse_head, read_all
from lib.scripted_rtsp import certificate
from lib.wait import wait_for
from lib.websocket import BINARY, WebSocket

CADDY = shutil.which("caddy") or "/usr/bin/caddy"
CAMERAS = 6


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """-> (folder with cert.pem, key.pem and both.pem, a client's context)."""
    folder = tmp_path_factory.mktemp("tls")
    certificate(folder)
    (folder / "both.pem").write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return folder, ssl.create_default_context(cafile=folder / "cert.pem")


@pytest.fixture(scope="module")
def cameras():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(fake_rtsp.FakeCamera(video=fake_rtsp.media())) for _ in range(CAMERAS)]


@pytest.fixture(scope="module")
def gateways(tmp_path_factory, cameras):
    config = "[server]\ntrusted_proxies = 127.0.0.1\n" + QUICK
    config += "".join(f'[camera "camera-{n}"]\nurl = {camera.url()}\n' for n, camera in enumerate(cameras))
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Gateway(tmp_path_factory.mktemp(f"gateway-{n}"), config)) for n in (1, 2)]


def document(name):
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return file.read()


def haproxy(folder, tls_folder, port, gateways):
    text = substitute(document("haproxy-https.cfg"), r"bind :443 ssl crt \S+ (.*)",
                      rf"bind 127.0.0.1:{port} ssl crt {tls_folder}/both.pem \2")
    for n, gateway in enumerate(gateways, 1):
        for documented, ours in ((8005, gateway.flv_port), (8006, gateway.snapshot_port)):
            text = substitute(text, rf"(?:# )?server gateway-{n} 10\.0\.0\.1{n}:{documented}",
                              f"server gateway-{n} 127.0.0.1:{ours} check port {gateway.snapshot_port}")
    (folder / "proxy.conf").write_text(text, encoding="utf-8")
    return [HAProxy.program, "-db", "-f", str(folder / "proxy.conf")]


def nginx(folder, tls_folder, port, gateways):
    text = substitute(document("nginx-https.conf"), "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    text = substitute(text, r"(ssl_certificate +)\S+;", rf"\2{tls_folder}/cert.pem;")
    text = substitute(text, r"(ssl_certificate_key +)\S+;", rf"\2{tls_folder}/key.pem;")
    text = substitute(text, r"access_log \S+ (.*)", rf"access_log {folder}/access.log \2")
    text = substitute(text, r"error_log \S+ (.*)", rf"error_log {folder}/error.log \2")
    for n, gateway in enumerate(gateways, 1):
        for documented, ours in ((8005, gateway.flv_port), (8006, gateway.snapshot_port)):
            text = substitute(text, rf"(?:# )?server 10\.0\.0\.1{n}:{documented} (.*)", rf"server 127.0.0.1:{ours} \2")
    (folder / "proxy.conf").write_text(text, encoding="utf-8")
    return [Nginx.program, "-p", str(folder), "-c", str(folder / "proxy.conf"), "-e", "stderr",
            "-g", f"daemon off; pid {folder}/nginx.pid;"]


def caddy(folder, tls_folder, port, gateways):
    """Its second part, which is a comment, instead of the site of one gateway."""
    snippet, site, many = re.split(r"^(?=cams\.example|# More than)", document("Caddyfile"), flags=re.M)
    if len(gateways) > 1:
        site = re.sub(r"^# ?", "", many.partition("cams.example {")[2], flags=re.M)
        site = "cams.example {" + site
    # Each gateway has two ports of its own here: the snippet's last digits become arguments.
    snippet = snippet.replace("{args.0}:8005", "{args.0}").replace("{args.0}:8006", "{args.1}")
    site, count = re.subn(r"# (tls) \S+ \S+", rf"\1 {tls_folder}/cert.pem {tls_folder}/key.pem", site)
    assert count == 1
    site = site.replace("cams.example {", f"https://127.0.0.1:{port} {{\n\tbind 127.0.0.1")
    for n, gateway in enumerate(gateways, 1):
        site = substitute(site, rf"import gateway 10\.0\.0\.1{n}",
                          f"import gateway 127.0.0.1:{gateway.flv_port} 127.0.0.1:{gateway.snapshot_port}")
        site = site.replace(f":900{n}", f":{free_port()}" if len(gateways) == 1 else f":{INNER[n - 1]}")
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n}\n"
    (folder / "Caddyfile").write_text(options + snippet + site, encoding="utf-8")
    return [CADDY, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


INNER = [free_port(), free_port()]


class Proxy:
    """The program; its one port."""

    def __init__(self, folder, tls, config, gateways):
        self.port, self.tls, self.gateways = free_port(), tls[1], gateways
        self.log_path = folder / "output.log"
        command = config(folder, tls[0], self.port, gateways)
        if not os.path.exists(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                            preexec_fn=processes.die_with_parent)

    def ask(self, target, headers=None, timeout=60, source=None):
        with connect(self.port, timeout, self.tls, source) as sock:
            sock.sendall(head_bytes(target, headers=headers))
            with contextlib.suppress(ssl.SSLEOFError):
                return Answer(read_all(sock))

    def serves(self):
        assert self.process.poll() is None, self.log_path.read_text()
        with contextlib.suppress(OSError, AssertionError):
            return all(self.ask(target, timeout=5).status == 200 for target in ("/healthz", "/"))
        return False

    @contextlib.contextmanager
    def stream(self, target, frames):
        """A viewer that has got so many pictures; it reads no further."""
        with connect(self.port, 60, self.tls) as sock:
            sock.sendall(head_bytes(target))
            answer = sock.makefile("rb")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += answer.readline()
            status, headers, _ = parse_head(head[:-4])
            assert status == 200, head
            flv = FlvReader()
            while len(flv.video) < frames:
                if headers.get("transfer-encoding") == "chunked":  # Caddy
                    flv.feed(answer.read(int(answer.readline(), 16)))
                    assert answer.readline() == b"\r\n"
                else:
                    flv.feed(answer.read1(65536))
            yield
            answer.close()

    def close(self):
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module", params=[(kind, count) for kind in (haproxy, nginx, caddy) for count in (1, 2)],
                ids=lambda p: f"{p[0].__name__}-{p[1]}")
def proxy(request, tmp_path_factory, tls, gateways):
    kind, count = request.param
    one = Proxy(tmp_path_factory.mktemp("proxy"), tls, kind, gateways[:count])
    try:
        wait_for(one.serves, 60, lambda: f"the proxy to serve:\n{one.log_path.read_text()}")
        yield one
    finally:
        one.close()


def test_everything_is_below_one_name(proxy):
    assert b"<!doctype html>" in proxy.ask("/").body.lower()
    assert b"<!doctype html>" in proxy.ask("/play?cam=camera-0").body.lower()
    with proxy.stream("/?cam=camera-0", 10):
        pass
    with WebSocket(proxy.port, "/?cam=camera-0", tls=proxy.tls) as ws:
        assert ws.status == 101
        flv = FlvReader()
        while len(flv.video) < 10:
            flv.feed(ws.wait_for(BINARY))
    picture = proxy.ask("/snapshot?cam=camera-0")
    assert (picture.status, picture.headers["content-type"], picture.body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    with connect(proxy.port, 60, proxy.tls) as sock:
        sock.sendall(head_bytes("/mjpeg?cam=camera-0&fps=10"))
        data = b""
        while data.count(b"image/jpeg") < 3:
            chunk = sock.recv(65536)
            assert chunk, data[:300]
            data += chunk
    assert len(json.loads(proxy.ask("/api/cameras").body)["cameras"]) == CAMERAS
    stream, = json.loads(proxy.ask("/api/streams?cam=camera-0").body)["streams"]
    assert (stream["name"], stream["state"]) == ("camera-0", "streaming")
    assert proxy.ask("/metrics").status == 404


def test_the_gateway_that_has_the_camera_answers(proxy, cameras):
    """Stream, picture and status of a camera come from one gateway, and so the camera is connected once."""
    def has(camera):
        return [gateway for gateway in proxy.gateways if gateway.worker_of(camera.port)]
    wait_for(lambda: not any(gateway.busy_workers() for gateway in proxy.gateways), 30, "the cameras to be left")
    with contextlib.ExitStack() as viewers:
        for n, camera in enumerate(cameras):
            viewers.enter_context(proxy.stream(f"/?cam=camera-{n}", 2))
            assert proxy.ask(f"/snapshot?cam=camera-{n}").status == 200
            stream, = json.loads(proxy.ask(f"/api/streams?cam=camera-{n}").body)["streams"]
            assert stream["state"] == "streaming"
            assert len(has(camera)) == 1


def test_each_gateway_has_some(proxy):
    """Names of cameras that are not there show it: many, since the ports, by which Caddy spreads, are others each time."""
    def refused():
        return [gateway.metric('refused_requests_total{code="unknown_camera"}') for gateway in proxy.gateways]
    before = refused()
    for n in range(40):
        assert proxy.ask(f"/snapshot?cam=nobody-{n}").status == 404
    wait_for(lambda: sum(refused()) == sum(before) + 40, 30, "all to be counted")
    assert all(now > then for now, then in zip(refused(), before))


def test_the_gateway_knows_the_client(proxy, request):
    """Whatever it claims."""
    source = f"127.0.1.{1 + request.node.callspec.indices['proxy']}"

    def logged():
        for path in ("/no-such-path", "/snapshot?cam=nobody"):
            assert proxy.ask(path, {"X-Forwarded-For": "198.51.100.7"}, source=source).status == 404
        log = "".join(gateway.log() for gateway in proxy.gateways)
        assert "198.51.100.7" not in log
        return all(f"client={source}: refused: {code}" in log for code in ("not_found", "unknown_camera"))
    wait_for(logged, 30, f"{source} in the log", interval=0.3)


@pytest.fixture(scope="module")
def browser():
    if reason := browser_module.browser_missing():
        pytest.skip(reason)
    with browser_module.Browser() as one:
        one.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
        yield one


def test_the_page(proxy, browser):
    """The player plays, with nothing asked elsewhere than at the one name."""
    browser.open(f"https://127.0.0.1:{proxy.port}/play?cam=camera-1")
    browser.wait("document.body.dataset.state === 'live'", 60, "a live picture")
    shown = browser.frames()
    wait_for(lambda: browser.frames() > shown + 5, 60, "more pictures")
    asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert {re.match(r"\w+://[^/]*", url).group(0) for url in asked if not url.startswith(("blob:", "data:"))} <= \
        {f"https://127.0.0.1:{proxy.port}", f"wss://127.0.0.1:{proxy.port}"}
    assert browser.console() == []
