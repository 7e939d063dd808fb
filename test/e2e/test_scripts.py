"""What scripts/run and scripts/sample-cameras print is what they started."""
import os
import re
import signal
import socket
import subprocess
import urllib.request

import pytest

from lib import processes
from lib.cameras import ROOT
from lib.gateway import clean_environment, free_port
from lib.wait import wait_for


@pytest.fixture
def start(tmp_path):
    """start(script, arguments, last): run it until its output has the last words; -> what it printed."""
    started = []

    def run(script, arguments, last):
        path = tmp_path / "output"
        with open(path, "wb") as output:
            process = subprocess.Popen([os.path.join(ROOT, "scripts", script), *arguments], stdout=output, stderr=output,
                                       stdin=subprocess.DEVNULL, env=clean_environment(), start_new_session=True,
                                       preexec_fn=processes.die_with_parent)
        started.append(process)
        wait_for(lambda: last in path.read_text() or process.poll() is not None, 300, path.read_text, interval=0.1)
        return path.read_text()

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def test_run_without_cameras(start):
    flv, snapshot = free_port(), free_port()
    text = start("run", ["--no-cameras", "--bind", "127.0.0.1", "--flv-port", str(flv), "--snapshot-port", str(snapshot)],
                 "Ctrl-C ends it.")
    assert f"streams on port {flv}, snapshots, API and metrics on port {snapshot} of 127.0.0.1." in text
    ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", text)}
    assert ports == {flv, snapshot}
    assert "720p" not in text and "8005" not in text and "8006" not in text
    with urllib.request.urlopen(f"http://127.0.0.1:{flv}/", timeout=30) as page:
        assert b"<html" in page.read()


def test_run_whose_gateway_cannot_start(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = start("run", ["--no-cameras", "--bind", "127.0.0.1", "--flv-port", str(taken.getsockname()[1]),
                             "--snapshot-port", str(free_port())], "its message is above")
    assert "The gateway runs" not in text


def test_sample_cameras_on_ipv6(start):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    text = start("sample-cameras", ["--bind", "::1", "--rtsp-port", "0", "--rtmp-port", "0", "--sizes", "720p"], "\nready")
    assert "\nready" in text, text
    for scheme in ("rtsp", "rtmp"):
        url = re.search(rf"^{scheme}://\[::1\]:\d+/\S*720p-H264-AAC.mp4$", text, re.M).group()
        found = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", url],
                               capture_output=True, text=True, timeout=60, check=False)
        assert "h264" in found.stdout, found.stderr
