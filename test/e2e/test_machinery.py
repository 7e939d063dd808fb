"""Faults of the gateway's own machinery: its log, descriptors, /proc, time that passes without it, and what /healthz says."""
import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import QUICK
from lib import processes
from lib.gateway import Gateway, binary
from lib.http import request
from lib.wait import wait_for


def test_log_that_nobody_reads(make_gateway, camera):
    """stderr is a pipe that is full: everything goes on; when it is read again, a line says what is missing."""
    reads, writes = os.pipe()
    gateway = make_gateway(QUICK, stderr=writes)
    os.close(writes)
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)

        def make_noise():
            for _ in range(50):
                assert gateway.get("ftp://x/").status == 400
                with gateway.view(camera.url()) as other:
                    other.wait_frames(1)
            return gateway.metric("dropped_log_lines_total") > 0
        wait_for(make_noise, 120, "lines to be dropped")
        viewer.wait_more(25)
        assert request(gateway.snapshot_port, "/healthz").status == 200
        text = b""
        os.set_blocking(reads, False)

        def notice():
            nonlocal text
            try:
                text += os.read(reads, 1 << 20)
            except BlockingIOError:
                pass
            return b"log lines were dropped here" in text
        wait_for(notice, 30, "the line about the dropped ones")
    viewer.check()
    camera.assert_no_frame_lost(viewer.flv)
    gateway.process.send_signal(signal.SIGTERM)  # with the pipe full again or not
    assert gateway.process.wait(30) == 0
    os.close(reads)


def test_log_whose_reader_is_gone(make_gateway, camera):
    """Neither the master nor a nursery that has something to say dies of SIGPIPE."""
    reads, writes = os.pipe()
    os.close(reads)
    gateway = make_gateway("[server]\nsandbox = off\nspare_workers = 0\n" + QUICK, stderr=writes)
    os.close(writes)
    first = wait_for(gateway.nursery, 30, "the nursery")
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: gateway.nursery() not in (None, first) and gateway.nursery(), 30, "another nursery")
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not processes.alive(worker), 20, "the worker to die")
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
    assert gateway.nursery() == second


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide /proc")
@pytest.mark.parametrize("path", ["absolute", "relative"])
def test_started_without_proc(tmp_path, camera, path):
    """It finds its worker's program by the path it was started by; limits that need /proc are not there."""
    hide = 'mount -t tmpfs none /proc && exec "$@"'
    program = binary() if path == "absolute" else os.path.relpath(binary(), tmp_path)
    with Gateway(tmp_path, QUICK, prefix=("unshare", "-m", "sh", "-c", hide, "sh"), program=program) as gateway:
        with gateway.view(camera.url()) as viewer:
            viewer.wait_frames(5)


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_started_with_descriptors_closed(make_gateway, camera, closed):
    gateway = make_gateway(QUICK, prefix=("sh", "-c", "".join(f"exec {fd}>&-; " for fd in closed) + 'exec "$0" "$@"'))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)


def live_through_a_stop(gateway, camera, who):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(10)
        wait_for(lambda: len(gateway.all_workers()) == 3, 20, "spare workers")
        before = [gateway.nursery(), *gateway.all_workers()]
        stopped = {"master": [gateway.pid], "nursery": [gateway.nursery()], "everybody": [gateway.pid, *before]}[who]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(15)  # what is tested
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        viewer.wait_more(50)
        time.sleep(2)  # two ticks of every loop
        assert [gateway.nursery(), *gateway.all_workers()] == before, who
        assert (camera.connections, camera.plays) == (1, 1), gateway.log()[-3000:]
        assert request(gateway.snapshot_port, "/healthz").status == 200
    viewer.flv.check()


def test_stopped_for_a_while(make_gateway, make_camera):
    """Ctrl-Z, a freezer, a machine that is moved: whoever did not run for 15 s blames nobody for it.  Three gateways at once."""
    with ThreadPoolExecutor(3) as pool:
        tries = [pool.submit(live_through_a_stop, make_gateway(QUICK), make_camera(), who)
                 for who in ("master", "nursery", "everybody")]
    for one in tries:
        one.result()


def test_health_says_that_no_worker_starts(make_gateway, tmp_path):
    """A nursery that ends at once, a program that is missing: /healthz, metric and log say so, until it is mended."""
    program = shutil.copy(binary(), tmp_path)
    nursery = tmp_path / "cam-httpflv-worker"
    nursery.write_text("#!/bin/sh\necho the library is missing >&2\nexit 127\n")
    nursery.chmod(0o755)
    gateway = make_gateway("[server]\nspare_workers = 0\n", program=program)
    wait_for(lambda: request(gateway.snapshot_port, "/healthz").status == 503, 30, "/healthz to say so")
    answer = request(gateway.snapshot_port, "/healthz")
    assert "cam-httpflv-worker ended (status 127" in answer.error["message"], answer.body
    assert gateway.metric("nursery_up") == gateway.metric("healthy") == 0
    assert re.search(r"warn nursery\[\d+\]: the library is missing", gateway.log())
    wait_for(lambda: "no worker can be started: cam-httpflv-worker ended" in gateway.log(), 20, "its line")
    nursery.unlink()
    nursery.symlink_to(binary("cam-httpflv-worker"))
    wait_for(lambda: request(gateway.snapshot_port, "/healthz").status == 200, 30, "/healthz to be well again")
    assert gateway.metric("nursery_up") == gateway.metric("healthy") == 1
    wait_for(lambda: "workers can be started again" in gateway.log(), 20, "the line about it")


@pytest.mark.parametrize("spares", [0, 1])
def test_health_after_a_nursery_died(make_gateway, spares):
    """Another one serves, though the spare workers outlived it and no worker was wanted since."""
    gateway = make_gateway(f"[server]\nspare_workers = {spares}\n")
    nursery = wait_for(gateway.nursery, 20, "the nursery")
    wait_for(lambda: len(gateway.all_workers()) == spares, 20, "spare workers")
    os.kill(nursery, signal.SIGKILL)
    wait_for(lambda: gateway.nursery() not in (None, nursery), 20, "another nursery")
    assert gateway.metric("nursery_restarts_total") == 1
    time.sleep(4)  # longer than /healthz has patience with a death
    wait_for(lambda: request(gateway.snapshot_port, "/healthz").status == 200, 30, "/healthz to be well")


def test_worker_that_outlived_its_nursery_dies_with_a_line(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker, = gateway.worker_of(camera.port)
        nursery = gateway.nursery()
        os.kill(nursery, signal.SIGKILL)
        wait_for(lambda: gateway.nursery() not in (None, nursery), 30, "another nursery")
        os.kill(worker, signal.SIGSYS)
        wait_for(lambda: not processes.alive(worker), 30, "the worker to end")
    wait_for(lambda: f"(pid {worker}) was ended by its sandbox" in gateway.log(), 20, "its line")
    assert gateway.metric('worker_failures_total{reason="sandbox"}') == 1
