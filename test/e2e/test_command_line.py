"""Options, configuration file, environment: what is accepted, what is refused, and how it is said."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from lib import processes
from lib.gateway import Gateway, binary, clean_environment, free_port
from lib.http import request
from lib.wait import wait_for


def run(*args, env=None):
    return subprocess.run([binary(), *args], env=clean_environment(env), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)


def refused(result, *words):
    assert result.returncode not in (0, None) and result.returncode > 0, result
    for word in words:
        assert word in result.stderr, f"{word!r} not in {result.stderr!r}"


def test_version():
    result = run("--version")
    assert result.returncode == 0
    assert re.match(r"cam-httpflv \d+\.\d+", result.stdout), result.stdout


def test_help_names_every_flag():
    result = run("--help")
    assert result.returncode == 0
    for flag in ("--config", "--bind", "--flv-port", "--snapshot-port", "--log-level", "--check-config", "--version",
                 "--help"):
        assert flag in result.stdout, flag


@pytest.mark.parametrize("args", [("--no-such-flag",), ("stray",), ("--flv-port",), ("-z",)])
def test_unknown_argument(args):
    refused(run(*args), args[0].lstrip("-") if args[0] != "stray" else "stray")


@pytest.mark.parametrize("args,words", [
    (("--flv-port", "70000"), ("flv-port", "65535")),
    (("--flv-port", "web"), ("flv-port",)),
    (("--log-level", "loud"), ("log-level", "error", "trace")),
    (("--bind", "not an address"), ("bind",)),
    (("--config", "/nonexistent/file.ini"), ("/nonexistent/file.ini",)),
])
def test_wrong_value(args, words):
    refused(run(*args), *words)


GOOD = """
; every section
[server]
bind = 127.0.0.1
flv_port = 18005
snapshot_port = 18006
log_level = warn
log_format = json
spare_workers = 1
max_cameras = 3
max_viewers = 20
[camera]
connect_timeout_ms = 2000
stall_timeout_ms = 2000
idle_timeout_ms = 2000
reconnect_window_ms = 2000
gop_max_bytes = 1000000
[viewer]
queue_max_ms = 1000
stall_timeout_ms = 5000
[camera "front-door"]
url = rtsp://admin:sesame-42@10.0.0.9/stream1
type = rtsp-tcp
always_on = no
"""


def test_check_config_accepts(tmp_path):
    file = tmp_path / "good.ini"
    file.write_text(GOOD)
    result = run("--check-config", "--config", str(file))
    assert result.returncode == 0, result.stderr
    assert "sesame-42" not in result.stdout + result.stderr


# --- what is left open ----------------------------------------------------------------------------

SECRETS = ['[camera "x"]\nurl = rtsp://admin:sesame-42@10.0.0.9/\n', '[camera "x"]\nurl = rtsp://10.0.0.9/?token=sesame-42\n',
           "[access]\ntoken = sesame-42\n", "[access]\nsigning_key = sesame-42\n"]


def write(path, text, mode):
    path.write_text("[server]\nbind = 127.0.0.1\n" + text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("text,mode,what", [
    *[(text, 0o644, "can read the passwords in it") for text in SECRETS],
    (SECRETS[0], 0o666, "can read the passwords in it and change it"),
    ("", 0o602, "can change it")])
def test_file_that_others_can_read(tmp_path, text, mode, what):
    """--check-config warns on stderr and is content; a start warns in its log, and after a reload again."""
    file = write(tmp_path / "open.ini", text, mode)
    words = f"{file} has mode {mode:04o}: every user of this machine {what}; run chmod o= {file}"
    result = run("--check-config", "--config", file)
    assert result.returncode == 0 and result.stderr == f"cam-httpflv: warning: {words}\n"
    with Gateway(tmp_path, args=("--config", file), secrets=["sesame-42"]) as gateway:
        wait_for(lambda: f" warn master[{gateway.pid}]: {words}" in gateway.log(), 20, "the warning")
        assert gateway.log().count(words) == 1
        os.kill(gateway.pid, signal.SIGHUP)
        wait_for(lambda: gateway.log().count(words) == 2, 20, "the warning after a reload")


@pytest.mark.parametrize("text,mode,env", [
    (SECRETS[0], 0o640, {}), (SECRETS[0], 0o600, {}), ('[camera "x"]\nurl = rtsp://10.0.0.9/\n', 0o644, {}),
    ("", 0o644, {"CAM_HTTPFLV_ACCESS_TOKEN": "sesame-42"})])
def test_file_that_others_may_read(tmp_path, text, mode, env):
    result = run("--check-config", "--config", write(tmp_path / "closed.ini", text, mode), env=env)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("text,warned", [
    ("bind = 0.0.0.0\n", True), ("bind = ::\n", True), ("bind = 127.0.0.1\n", False), ("bind = ::1\n", False),
    ("[access]\ntoken = t\n", False), ("[access]\nsigning_key = k\n", False), ("[access]\ncameras = named\n", False),
    ("[access]\ncameras = 10.0.0.0/8\n", False)])
def test_server_that_is_open_to_everybody(tmp_path, text, warned):
    file = tmp_path / "access.ini"
    file.write_text("[server]\n" + text)
    file.chmod(0o600)
    result = run("--check-config", "--config", str(file))
    assert result.returncode == 0
    assert ("anyone who can connect may watch any camera" in result.stderr) == warned


# --- the first log lines --------------------------------------------------------------------------

def test_first_log_lines(tmp_path):
    """Version, configuration file, number of cameras; where to look.  The address answers."""
    ports = free_port(), free_port()
    text = f"[server]\nbind = 0.0.0.0\nflv_port = {ports[0]}\nsnapshot_port = {ports[1]}\n" + "".join(
        f'[camera "c{n}"]\nurl = rtsp://10.0.0.9/{n}\n' for n in range(3))
    advice = "listening on 0.0.0.0 without a token: anyone who can connect"
    with Gateway(tmp_path, text, ports=ports) as gateway:
        wait_for(lambda: advice in gateway.log(), 20, "the last of them")
        lines = gateway.log().splitlines()
        assert re.search(rf" info master\[\d+\]: cam-httpflv \d+\.\d+\.\d+, configuration: {gateway.config_path}, "
                         "named cameras: 3$", lines[0]), lines[0]
        found = re.search(r": open http://([\d.]+):(\d+)/ in a browser; snapshots, API and metrics are on port (\d+)$",
                          gateway.log(), re.M)
        assert (int(found[2]), int(found[3])) == ports
        with socket.create_connection((found[1], ports[0]), timeout=10) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
        assert gateway.log().count(advice) == 1
    with Gateway(tmp_path) as gateway:
        wait_for(lambda: f": open http://127.0.0.1:{gateway.flv_port}/ in a browser" in gateway.log(), 20, "the address")
        assert "configuration: no file, named cameras: 0" in gateway.log().splitlines()[0]
        assert "without a token" not in gateway.log()


# --- what is refused ------------------------------------------------------------------------------

@pytest.mark.parametrize("line,words", [
    ("flv_prot = 8005", ("flv_prot",)),
    ("flv_port = 99999", ("flv_port", "65535")),
    ("log_level = chatty", ("log_level", "info")),
    ("spare_workers = -1", ("spare_workers",)),
    ("[sever]", ("sever",)),
    ("[camera]\nconnect_timeout_ms = soon", ("connect_timeout_ms",)),
    ('[camera "x"]\nurl = gopher://10.0.0.9/', ("url",)),
    ('[camera "x"]\nurl = rtsp://a:sesame-42@10.0.0.9/\ntype = rtmp', ("type",)),
])
def test_check_config_refuses(tmp_path, line, words):
    file = tmp_path / "bad.ini"
    file.write_text("[server]\nspare_workers = 1\n" + line + "\n")
    result = run("--check-config", "--config", str(file))
    number = 2 + len(line.splitlines())
    refused(result, *words)
    # It names the file and the line (of the value, or of the section it is in).
    named = [int(n) for n in re.findall(re.escape(str(file)) + r":(\d+)", result.stderr)]
    assert named and number - 1 <= named[0] <= number, (number, result.stderr)
    assert "sesame-42" not in result.stdout + result.stderr


def test_wrong_file_starts_nothing(tmp_path):
    file = tmp_path / "bad.ini"
    port = free_port()
    file.write_text(f"[server]\nflv_port = {port}\nunknown = 1\n")
    refused(run("--config", str(file)), "unknown", f"{file}:3")


def test_environment_beats_file_and_flag_beats_environment(tmp_path):
    unused = free_port()
    with Gateway(tmp_path, f"[server]\nflv_port = {unused}\n",
                 env={"CAM_HTTPFLV_FLV_PORT": str(unused), "CAM_HTTPFLV_SPARE_WORKERS": "3"}) as gateway:
        # --flv-port won: Gateway waited for it.  spare_workers came from the environment.
        wait_for(lambda: len(gateway.all_workers()) == 3, 20, lambda: f"3 spares, got {gateway.all_workers()}")
        with pytest.raises(ConnectionRefusedError):
            request(unused, "/")


def test_wrong_environment_value():
    refused(run("--check-config", env={"CAM_HTTPFLV_FLV_PORT": "many"}), "CAM_HTTPFLV_FLV_PORT")


def test_port_in_use(tmp_path):
    with Gateway(tmp_path) as gateway:
        result = run("--bind", "127.0.0.1", "--flv-port", str(gateway.flv_port), "--snapshot-port", "0")
        refused(result, str(gateway.flv_port))


def test_master_links_no_libav():
    libraries = subprocess.run(["ldd", binary()], capture_output=True, text=True, check=True).stdout
    assert "libuv" in libraries  # ldd did look into it
    for name in ("libav", "libsw"):
        assert name not in libraries, libraries
    assert "libavformat" in subprocess.run(["ldd", binary("cam-httpflv-worker")], capture_output=True, text=True,
                                           check=True).stdout


def test_worker_program_that_cannot_be_started(tmp_path):
    """An end with the reason, not a server without workers."""
    program = shutil.copy(binary(), tmp_path)
    worker = tmp_path / "cam-httpflv-worker"
    worker.write_text("#!/no/such/interpreter\n")
    worker.chmod(0o755)
    result = subprocess.run([program, "--bind", "127.0.0.1", "--flv-port", "0", "--snapshot-port", "0"],
                            env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=60, check=False, preexec_fn=processes.die_with_parent)
    refused(result, "cannot start cam-httpflv-worker")
