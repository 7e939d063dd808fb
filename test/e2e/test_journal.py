"""A real journald reads the log: priorities, one time per line.

It runs in a mount namespace of its own, with an empty /run: needs root and systemd-journald.
"""
import json
import os
import shlex
import shutil
import subprocess

import pytest

from lib.gateway import binary, clean_environment, free_port
from lib.http import request
from lib.wait import wait_for

JOURNALD = "/lib/systemd/systemd-journald"
# As systemd starts a service: stderr is a socket to journald, JOURNAL_STREAM says which (systemd.exec(5)).  All ends
# with standard input.
SCRIPT = """
mount -t tmpfs tmpfs /run || exit 100
mkdir -p /run/systemd/journal /run/log/journal
{journald} 2>{folder}/journald.log &
journald=$!
until [ -S /run/systemd/journal/stdout ]; do sleep 0.1; done
systemd-cat -t gateway sh -c 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"' - {command} &
gateway=$!
read _
{end}
wait $gateway
status=$?
journalctl --sync
journalctl -D /run/log/journal --no-pager -o json -t gateway > {folder}/lines
kill $journald
exit $status
"""


@pytest.fixture
def journal(tmp_path):
    """journal(*args, until) -> (exit code, [(priority, message)]); SIGTERM when until() returns, None: it ends itself."""
    if os.geteuid() != 0 or not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
        pytest.skip("root and systemd-journald are needed")

    def run(*args, until=None):
        script = SCRIPT.format(journald=JOURNALD, folder=tmp_path, command=shlex.join([binary(), *args]),
                               end="kill -TERM $gateway" if until else "")
        with subprocess.Popen(["unshare", "-m", "sh", "-c", script], env=clean_environment(), stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                if until:
                    until()
            finally:
                process.stdin.close()
            status = process.wait(60)
        if status == 100:
            pytest.skip("no mount namespaces here")
        text = (tmp_path / "lines").read_text()
        return status, [(int(e["PRIORITY"]), e["MESSAGE"]) for e in map(json.loads, text.splitlines())]
    return run


def test_priorities_and_no_second_time(journal, tmp_path):
    config = tmp_path / "open.ini"
    config.write_text('[camera "x"]\nurl = rtsp://admin:sesame-42@10.0.0.9/\n')
    config.chmod(0o644)
    ports = free_port(), free_port()

    def answers():
        try:
            return request(ports[1], "/healthz").status == 200
        except ConnectionRefusedError:
            return False
    status, entries = journal("--config", str(config), "--bind", "127.0.0.1", "--flv-port", str(ports[0]),
                              "--snapshot-port", str(ports[1]), until=lambda: wait_for(answers, 30, "the gateway"))
    assert status == 0
    assert entries[0][0] == 6 and entries[0][1].startswith("info master[") and "cam-httpflv 0." in entries[0][1]
    warnings = [message for priority, message in entries if priority <= 4]
    assert any("mode 0644" in message for message in warnings), entries
    assert all(message.startswith("warn ") for message in warnings), warnings
    assert all(message.startswith(("info ", "warn ", "debug ")) for _, message in entries), entries


def test_a_wrong_configuration_is_an_error(journal):
    status, entries = journal("--flv-port", "many")
    assert status == 1
    assert [entry for entry in entries if entry[0] == 3 and "--flv-port: a number" in entry[1]], entries
