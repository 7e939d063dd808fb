"""One client address takes what it can; clients with another address notice nothing.

The attacker is 127.0.0.1, the others are 127.0.0.2 (lib/bystander).
"""
import contextlib
import re
import resource

import pytest

from conftest import QUICK
from lib import processes
from lib.bystander import Bystander
from lib.http import connect, request
from lib.wait import wait_for


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def metric(gateway, name):
    """The value of a series, labels included in its name."""
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return float(re.search(rf"^cam_httpflv_{re.escape(name)} (\S+)$", text, re.M).group(1))


def open_half_heads(sockets, port, count):
    for _ in range(count):
        sock = sockets.enter_context(connect(port))
        with contextlib.suppress(OSError):  # evicted already
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")


def test_half_heads(make_gateway, camera):
    """Connections that never finish their request push out each other, not those of others."""
    gateway = make_gateway(QUICK)
    with Bystander(gateway, camera.url()) as bystander:
        bystander.wait_rounds(3)
        before = processes.private_bytes(gateway.pid)
        with contextlib.ExitStack() as sockets:
            for port in (gateway.flv_port, gateway.snapshot_port):
                open_half_heads(sockets, port, 4600)
                bystander.wait_rounds(5)
            at_most = processes.private_bytes(gateway.pid)
            assert metric(gateway, "connections") < 5000
            assert metric(gateway, "evicted_connections_total") > 4000
            assert request(gateway.snapshot_port, "/healthz").status == 200  # the attacker is served too
            bystander.wait_rounds(5)
        wait_for(lambda: metric(gateway, "connections") < 100, 60, "the connections to be gone")
        wait_for(lambda: processes.private_bytes(gateway.pid) < before + (8 << 20), 30,
                 lambda: f"{processes.private_bytes(gateway.pid)} bytes to go back to {before}")
    print(f"/healthz of others: p99 {bystander.p99_ms():.1f} ms; master: {before >> 20}, {at_most >> 20}, "
          f"{processes.private_bytes(gateway.pid) >> 20} MB")
