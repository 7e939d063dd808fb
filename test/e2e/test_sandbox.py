"""Workers as they run: what the kernel says they gave up, what a violation costs; a master that is not root."""
import ctypes
import os
import platform
import pwd
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import QUICK
from lib import processes
from lib.gateway import binary, build_dir, clean_environment, free_port
from lib.http import request, stream_target
from lib.wait import wait_for

USER = "nobody"
LANDLOCK_CREATE_RULESET, LANDLOCK_CREATE_RULESET_VERSION = 444, 1
LANDLOCK_RESTRICT_SELF = 446
CAPSET = 126
SECCOMP = 317  # x86-64's number, as CAPSET's

on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the system call's number is x86-64's")


def status(pid):
    """What /proc says of a process: its fields as text."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def failures(gateway, reason):
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    return int(re.search(r'^cam_httpflv_worker_failures_total\{reason="%s"\} (\d+)$' % reason, text, re.M).group(1))


def test_workers_are_shut_in(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        wait_for(lambda: len(gateway.all_workers()) == 3, 20, "a worker and two spares")
        for pid in gateway.all_workers():
            wait_for(lambda p=pid: status(p)["Seccomp"] == "2", 20, f"the filter of {pid}")
            fields = status(pid)
            assert (fields["NoNewPrivs"], int(fields["CapPrm"], 16), int(fields["CapEff"], 16)) == ("1", 0, 0)
            with open(f"/proc/{pid}/limits", encoding="ascii") as file:
                assert re.search(r"^Max core file size +0 +0 ", file.read(), re.M)
        # Threads have what the process has.
        worker, = gateway.worker_of(camera.port)
        for task in os.listdir(f"/proc/{worker}/task"):
            try:
                assert status(f"{worker}/task/{task}")["Seccomp"] == "2"
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended since


def test_what_a_worker_holds(gateway, camera):
    """Nothing of another worker: a channel, a log, its clients, its camera, one memory shared with the master."""
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        wait_for(lambda: len(gateway.all_workers()) == 3, 20, "a worker and two spares")
        busy, = gateway.worker_of(camera.port)
        for pid in gateway.all_workers():
            wait_for(lambda p=pid: status(p)["Seccomp"] == "2", 20, f"the filter of {pid}")
            held = list(processes.open_files(pid).values())
            sockets = [target for target in held if target.startswith("socket:")]
            assert len(sockets) == (3 if pid == busy else 1), held
            assert not [target for target in held if "memfd" in target], held
            with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
                assert len(re.findall(r"rw-s .*/memfd:handover", file.read())) == 1


def test_memory_of_a_shut_in_worker_is_known(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        text = request(gateway.snapshot_port, "/metrics").body.decode()
        values = re.findall(r"^cam_httpflv_camera_resident_memory_bytes\{.*\} (\d+)$", text, re.M)
        assert values and all(int(value) > 1 << 20 for value in values)


def test_off(make_gateway, camera):
    gateway = make_gateway("[server]\nsandbox = off\n" + QUICK)
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker, = gateway.worker_of(camera.port)
        assert status(worker)["Seccomp"] == status(gateway.pid)["Seccomp"]
        assert "sandbox = off" in gateway.log()


def test_violation_is_logged_and_counted(gateway, camera):
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker, = gateway.worker_of(camera.port)
        os.kill(worker, signal.SIGSYS)  # as the kernel does
        wait_for(lambda: not processes.alive(worker), 30, "the worker to end")
    wait_for(lambda: failures(gateway, "sandbox") == 1, 20, "the violation to be counted")
    assert failures(gateway, "signal") == 0
    assert f"(pid {worker}) was ended by its sandbox" in gateway.log()
    with gateway.view(camera.url()) as viewer:  # and the camera is there again
        viewer.wait_frames(5)


def refusing(number):
    """In front of a command: its system call NUMBER fails."""
    return (sys.executable, os.path.join(os.path.dirname(processes.__file__), "refuse_syscall.py"), str(number))


def test_workers_that_cannot_be_shut_in_do_not_run(make_gateway, camera):
    """They are not forked again as fast as the machine can."""
    gateway = make_gateway(QUICK, prefix=refusing(LANDLOCK_RESTRICT_SELF))
    wait_for(lambda: failures(gateway, "status") > 2, 30, "spare workers to fail, twice")
    assert "sandbox: Landlock: Operation not permitted" in gateway.log()
    answer = request(gateway.flv_port, stream_target(camera.url()), timeout=60)
    assert (answer.status, answer.error["code"]) == (503, "overloaded"), answer.body
    start, before = time.monotonic(), failures(gateway, "status")
    wait_for(lambda: failures(gateway, "status") >= before + 4, 60, "more workers to be tried")
    spares, seconds = 2, time.monotonic() - start
    assert failures(gateway, "status") - before <= spares * (seconds + 2)
    assert camera.connections == 0


def test_kernel_without_landlock(make_gateway, camera):
    """`on` goes on without, and says so."""
    gateway = make_gateway(QUICK, prefix=refusing(LANDLOCK_CREATE_RULESET))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker, = gateway.worker_of(camera.port)
        assert status(worker)["Seccomp"] == "2"
    assert "sandbox: this kernel has no Landlock" in gateway.log()


def run_to_its_end(file, lines, prefix=()):
    """A server that does not start."""
    file.write_text(f"[server]\nbind = 127.0.0.1\nflv_port = {free_port()}\nsnapshot_port = 0\n" + lines)
    return subprocess.run([*prefix, binary(), "--config", str(file)], env=clean_environment(), capture_output=True,
                          text=True, timeout=60, check=False, preexec_fn=processes.die_with_parent)


@pytest.mark.parametrize("number, words", [
    (LANDLOCK_CREATE_RULESET, "no Landlock"),
    pytest.param(SECCOMP, "no seccomp filters", marks=on_x86_64),
])
def test_kernel_without_what_is_required(tmp_path, number, words):
    result = run_to_its_end(tmp_path / "c.ini", "sandbox = require\n", refusing(number))
    assert result.returncode == 1
    assert f"[server] sandbox = require: this kernel has {words}" in result.stderr
    greeting, *rest = result.stderr.splitlines()
    assert "cam-httpflv" in greeting and len(rest) == 1, result.stderr


def test_kernel_with_all_that_is_required(make_gateway, camera):
    if ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION) <= 0:
        pytest.skip("this kernel has no Landlock")
    gateway = make_gateway("[server]\nsandbox = require\n" + QUICK)
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@on_x86_64
def test_workers_without_capabilities_need_not_drop_them(make_gateway, camera):
    """Under systemd's filter ~@privileged."""
    if not processes.reachable_by_others(os.path.realpath(binary("cam-httpflv-worker"))):
        pytest.skip(f"{build_dir()} is not for other users to enter")
    gateway = make_gateway(f"[server]\nuser = {USER}\n" + QUICK, prefix=refusing(CAPSET))
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)


PRIVATE_ETC = ("unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"')


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has mount namespaces for the asking")
def test_replaced_name_files(make_gateway, make_camera, tmp_path):
    """A worker cannot read files that were replaced: one of a camera that is not there gives way to one that can."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "nsswitch.conf").write_text("hosts: files\n")
    (etc / "hosts").write_text("127.0.0.1 other.example\n")
    if subprocess.run([*PRIVATE_ETC, etc, "true"], check=False, timeout=60).returncode != 0:
        pytest.skip("no mount namespaces here")
    camera = make_camera()
    config = '[camera "door"]\nurl = ' + camera.url().replace("127.0.0.1", "door.example") + "\nalways_on = yes\n"
    gateway = make_gateway(QUICK + config, prefix=(*PRIVATE_ETC, str(etc)))
    wait_for(lambda: "name lookup" in gateway.log(), 60, "the look-up to fail")
    (etc / "hosts.new").write_text("127.0.0.1 door.example\n")
    os.replace(etc / "hosts.new", etc / "hosts")
    wait_for(lambda: camera.plays > 0, 60, lambda: f"the new file to be read:\n{gateway.log()[-3000:]}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user(make_gateway, camera):
    if not processes.reachable_by_others(os.path.realpath(binary("cam-httpflv-worker"))):
        pytest.skip(f"{build_dir()} is not for other users to enter")
    gateway = make_gateway(f"[server]\nuser = {USER}\n" + QUICK)
    wanted = pwd.getpwnam(USER)
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        for pid in [gateway.pid, gateway.nursery(), *gateway.all_workers()]:
            fields = status(pid)
            assert set(map(int, fields["Uid"].split())) == {wanted.pw_uid}, fields
            assert set(map(int, fields["Gid"].split())) == {wanted.pw_gid}, fields
            assert "0" not in fields["Groups"].split()
            assert int(fields["CapPrm"], 16) == 0
    text = request(gateway.snapshot_port, "/metrics").body.decode()
    assert int(re.search(r"^cam_httpflv_resident_memory_bytes (\d+)$", text, re.M).group(1)) > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_memory_is_closed_to_the_same_user(make_gateway):
    """And there are no core dumps: what is not dumpable belongs to root in /proc (proc(5)), and no core_pattern gets it."""
    if not processes.reachable_by_others(os.path.realpath(binary("cam-httpflv-worker"))):
        pytest.skip(f"{build_dir()} is not for other users to enter")
    as_nobody = ("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups")
    gateway = make_gateway(None, prefix=as_nobody)
    wait_for(lambda: len(gateway.all_workers()) == 2, 20, "two spare workers")
    for pid in [gateway.pid, *gateway.all_workers()]:
        if pid != gateway.pid:
            wait_for(lambda p=pid: status(p)["Seccomp"] == "2", 20, f"the filter of {pid}")
        assert int(status(pid)["Uid"].split()[0]) == pwd.getpwnam(USER).pw_uid
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0, pid
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            assert re.search(r"^Max core file size +0 +0 ", file.read(), re.M)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_who_cannot_read_the_configuration(make_gateway, tmp_path):
    if not processes.reachable_by_others(os.path.realpath(binary("cam-httpflv-worker"))):
        pytest.skip(f"{build_dir()} is not for other users to enter")
    os.chmod(tmp_path, 0o700)
    gateway = make_gateway(f"[server]\nuser = {USER}\n")
    wait_for(lambda: "SIGHUP will change nothing" in gateway.log(), 20, "the warning")
    os.kill(gateway.pid, signal.SIGHUP)
    wait_for(lambda: "the configuration stays as it was" in gateway.log(), 20, "the reload to fail")
    assert request(gateway.snapshot_port, "/healthz").status == 200


@pytest.mark.parametrize("lines,words", [
    ("user = no-such-user-1\n", "no-such-user-1: there is no such user"),
    (f"user = {USER}\ngroup = no-such-group-1\n", "no-such-group-1: there is no such group"),
    ("group = daemon\n", "a user is needed"),
])
def test_nobody_of_that_name(tmp_path, lines, words):
    result = run_to_its_end(tmp_path / "c.ini", lines)
    assert result.returncode == 1
    assert words in result.stderr
