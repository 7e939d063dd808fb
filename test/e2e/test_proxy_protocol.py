"""PROXY protocol: proxies that pass bytes on and name the client in front of them.

127.0.0.2 is such a proxy, by hand or the real program; 127.0.0.1 is a client that connects itself.
"""
import contextlib
import os
import socket
import struct
import subprocess

import pytest

from conftest import QUICK
from lib import processes
from lib.balancer import HAProxy, Nginx
from lib.gateway import Gateway, free_port
from lib.http import Answer, Viewer, connect, exchange, head_bytes, parse_head, request, stream_target
from lib.wait import wait_for

PROXY = "127.0.0.2"
PLACES = 100
CONFIG = f"""[server]
proxy_protocol = {PROXY}
trusted_proxies = 192.0.2.99
client_share = 1
{QUICK}"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("gateway"), CONFIG) as server:
        yield server


def v1(source="192.0.2.7", port=4711):
    return f"PROXY TCP4 {source} 198.51.100.1 {port} 8006\r\n".encode()


def v2(source="192.0.2.7", port=4711, command=0x21, tlv=b""):
    body = socket.inet_aton(source) + socket.inet_aton("198.51.100.1") + struct.pack("!HH", port, 8006) + tlv
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, 0x11, len(body)) + body


def ask(gateway, header, target, headers=None, source=PROXY):
    return Answer(exchange(gateway.snapshot_port, header + head_bytes(target, headers=headers), source=source))


def known_as(gateway, client, code, ask_again):
    """The refusal is logged under that client; the log takes five a second of a kind, so ask until there is room."""
    def logged():
        ask_again()
        return any(f"client={client}" in line and f"refused: {code}" in line for line in gateway.log().splitlines())
    wait_for(logged, 30, f"{client} in the log", interval=0.3)


@pytest.mark.parametrize("header,client", [
    (v1(), "192.0.2.7:4711"), (v2(source="192.0.2.8"), "192.0.2.8:4711"),
    (v2(source="192.0.2.9", tlv=b"\x04\x00\x80" + bytes(128)), "192.0.2.9:4711"),
    (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "[2001:db8::7]:1"),
    (b"PROXY UNKNOWN\r\n", f"{PROXY}:"), (v2(source="192.0.2.10", command=0x20), f"{PROXY}:")],
    ids=["v1", "v2", "v2-tlv", "v1-ipv6", "v1-unknown", "v2-local"])
def test_the_header_names_the_client(gateway, header, client):
    def refused():
        assert ask(gateway, header, "/no-such-path").status == 404
    known_as(gateway, client, "not_found", refused)


def test_header_in_pieces(gateway):
    """A byte at a time, the request right behind it."""
    def refused():
        with connect(gateway.snapshot_port, source=PROXY) as sock:
            for byte in v2(source="192.0.2.11") + head_bytes("/nothing-here"):
                sock.sendall(bytes([byte]))
            assert b" 404 " in sock.recv(100)
    known_as(gateway, "192.0.2.11:4711", "not_found", refused)


def test_forwarded_for_behind_it(gateway):
    """The header names a trusted proxy: then its X-Forwarded-For counts; of others it does not."""
    def refused(source, claim):
        headers = {"X-Forwarded-For": claim}
        return lambda: ask(gateway, v1(source=source), "/no-such-path", headers)
    known_as(gateway, "198.51.100.77", "not_found", refused("192.0.2.99", "198.51.100.77"))
    known_as(gateway, "192.0.2.12:4711", "not_found", refused("192.0.2.12", "198.51.100.88"))
    assert "198.51.100.88" not in gateway.log()


def test_who_may_send_one_and_who_must(gateway):
    """A client that is no such proxy cannot claim an address; a proxy cannot leave it out."""
    answer = ask(gateway, v1(source="192.0.2.13"), "/healthz", source="127.0.0.3")
    assert (answer.status, answer.code) == (400, "bad_request")
    for wrong in (b"", b"PROXY TCP4 nobody\r\n", v2(command=0x22), v2(tlv=bytes(2000))[:16]):
        answer = ask(gateway, wrong, "/healthz")
        assert (answer.status, answer.code) == (400, "bad_request")
        assert "PROXY header, version 1 or 2" in answer.error["message"]
    assert "192.0.2.13" not in gateway.log()
    assert request(gateway.snapshot_port, "/healthz").status == 200


def test_each_client_has_its_share(gateway):
    """200 connections of one client through the proxy push out each other; another client is served."""
    def evicted():
        return gateway.metric("evicted_connections_total")
    before = evicted()
    with contextlib.ExitStack() as sockets:
        for port in range(1, 201):
            sock = sockets.enter_context(connect(gateway.flv_port, source=PROXY))
            with contextlib.suppress(OSError):
                sock.sendall(v1(source="192.0.2.14", port=port))
        wait_for(lambda: evicted() - before >= 100, 30, lambda: f"{evicted() - before} to be evicted")
        assert gateway.metric("connections") < 100
        assert ask(gateway, v1(source="192.0.2.15"), "/healthz").status == 200


def test_no_more_room_and_no_header_yet(make_gateway):
    """Every place is taken, by connections that wait for their header: each keeps its place when that arrives."""
    gateway = make_gateway(CONFIG, prefix=["prlimit", f"--nofile={2 * PLACES}:{2 * PLACES}"])
    with contextlib.ExitStack() as sockets:
        waiting = [sockets.enter_context(connect(gateway.snapshot_port, source=PROXY)) for _ in range(PLACES - 1)]
        last = sockets.enter_context(connect(gateway.snapshot_port))  # its answer tells that all are accepted
        last.sendall(head_bytes("/healthz", headers={"Connection": None}))
        assert last.recv(1000).startswith(b"HTTP/1.1 200")
        for number, sock in enumerate(waiting, start=1):
            sock.sendall(v1(source=f"192.0.2.{number}") + head_bytes("/healthz"))
            assert sock.recv(1000).startswith(b"HTTP/1.1 200"), f"connection {number}"
    wait_for(lambda: gateway.metric("connections") == 1, 30, "the connections to end")
    assert gateway.process.poll() is None


def test_connection_that_stays(gateway, camera):
    """A worker gives it back after a picture: it is still that client's."""
    with gateway.view(camera.url()) as viewer, connect(gateway.snapshot_port, 60, source=PROXY) as sock:
        viewer.wait_frames(5)
        stream = sock.makefile("rb")

        def answer(target):
            sock.sendall(head_bytes(target, headers={"Connection": None}))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = stream.readline()
                assert line, head
                head += line
            status, headers, _ = parse_head(head[:-4])
            stream.read(int(headers["content-length"]))
            return status
        sock.sendall(v1(source="192.0.2.16"))
        assert [answer(stream_target(camera.url(), path="/snapshot")) for _ in range(3)] == [200] * 3
        known_as(gateway, "192.0.2.16:4711", "unknown_camera", lambda: answer("/snapshot?cam=nobody"))
        stream.close()


# --- the real programs ----------------------------------------------------------------------------

def haproxy(version):
    def config(directory, ports):
        text = "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
        for listening, gateway_port in ports:
            text += (f"listen l{listening}\n bind 127.0.0.1:{listening}\n"
                     f" server g 127.0.0.1:{gateway_port} {version} source {PROXY}\n")
        path = directory / "haproxy.cfg"
        path.write_text(text, encoding="utf-8")
        return [HAProxy.program, "-db", "-f", str(path)]
    return config


def nginx(directory, ports):
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    text = f"pid {directory}/nginx.pid;\nerror_log stderr;\nevents {{}}\nstream {{\n"
    if os.path.exists(module):  # else it is built in
        text = f"load_module {module};\n" + text
    for listening, gateway_port in ports:
        text += (f"server {{ listen 127.0.0.1:{listening}; proxy_pass 127.0.0.1:{gateway_port}; "
                 f"proxy_bind {PROXY}; proxy_protocol on; }}\n")
    path = directory / "nginx.conf"
    path.write_text(text + "}\n", encoding="utf-8")
    return [Nginx.program, "-p", str(directory), "-c", str(path), "-e", "stderr", "-g", "daemon off;"]


@pytest.mark.parametrize("config,client", [(haproxy("send-proxy"), "127.0.0.4"), (haproxy("send-proxy-v2"), "127.0.0.5"),
                                           (nginx, "127.0.0.6")],
                         ids=["haproxy-send-proxy", "haproxy-send-proxy-v2", "nginx-stream"])
def test_real_proxy(gateway, camera, tmp_path, config, client):
    """A client of the proxy plays, gets pictures and the page, and the gateway knows its address."""
    flv, snapshot = free_port(), free_port()
    command = config(tmp_path, [(flv, gateway.flv_port), (snapshot, gateway.snapshot_port)])
    if not os.path.exists(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=processes.die_with_parent)

    def serves():
        assert process.poll() is None, (tmp_path / "log").read_text()
        with contextlib.suppress(OSError, AssertionError):
            return all(request(port, target).status == 200 for port, target in ((snapshot, "/healthz"), (flv, "/")))
    try:
        wait_for(serves, 30, "the proxy to serve")
        with Viewer(flv, stream_target(camera.url()), source=client) as viewer:
            viewer.wait_frames(5)
            answer = request(snapshot, stream_target(camera.url(), path="/snapshot"), source=client, timeout=60)
            assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        known_as(gateway, f"{client}:", "not_found", lambda: request(snapshot, "/no-such-path", source=client))
        wait_for(lambda: any(f"client={client}:" in line and "viewer gone" in line
                             for line in gateway.log().splitlines()), 30, "the viewer's end in the log")
    finally:
        process.terminate()
        process.wait(20)
