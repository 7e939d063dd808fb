"""Options, configuration file, environment: what is accepted, what is refused, and how it is said."""
import re
import shutil
import subprocess

import pytest

from lib import processes
from lib.gateway import Gateway, binary, clean_environment, free_port
from lib.http import request


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
        from lib.wait import wait_for
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
