"""The program under test as a process: start, look into, stop, and check that nothing is left of it."""
import os
import re
import signal
import socket
import subprocess

from . import processes
from .http import Viewer, encode, request, stream_target
from .ports import free_port
from .wait import wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def build_dir():
    """Where the binaries are: CAM_HTTPFLV_BUILD names a build (release, asan, …)."""
    return os.path.join(ROOT, "build", os.environ.get("CAM_HTTPFLV_BUILD", "release"))


def binary(name="cam-httpflv"):
    return os.path.join(build_dir(), name)


def clean_environment(extra=None):
    """The environment without settings of the program that a developer may have exported."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CAM_HTTPFLV_")}
    return {**env, **(extra or {})}


class Gateway:
    """
    config    text of the configuration file, or None to start without one
    secrets   strings that must never appear in the log (every test's passwords)
    prefix    command words in front of the binary (taskset, …)
    program   the binary, when it is not the one that was built
    stderr    a descriptor to log to, instead of the file that log() reads
    ports     (streams, snapshots) when config says them, and the address; otherwise flags do
    log_level None when config says it
    pass_fds  descriptors for the command in prefix
    """

    def __init__(self, directory, config=None, args=(), env=None, secrets=(), prefix=(), log_level="debug",
                 program=None, ports=None, stderr=None, pass_fds=()):
        self.flv_port, self.snapshot_port = ports or (free_port(), free_port())
        self.secrets = list(secrets)
        self.directory = str(directory)
        self.log_path = os.path.join(self.directory, f"gateway-{self.flv_port}.log")
        self.command = [*prefix, program or binary()]
        if ports is None:
            self.command += ["--bind", "127.0.0.1", "--flv-port", str(self.flv_port),
                             "--snapshot-port", str(self.snapshot_port)]
        if log_level is not None:
            self.command += ["--log-level", log_level]
        self.command += args
        self.config_path = None
        if config is not None:
            self.config_path = os.path.join(self.directory, f"gateway-{self.flv_port}.ini")
            with open(self.config_path, "w", encoding="utf-8") as file:
                file.write(config)
            self.command += ["--config", self.config_path]
        self._log = open(self.log_path, "wb")
        self.process = subprocess.Popen(self.command, cwd=self.directory, env=clean_environment(env),
                                        stdin=subprocess.DEVNULL, stdout=self._log, stderr=stderr or self._log,
                                        start_new_session=True, preexec_fn=processes.die_with_parent,
                                        pass_fds=pass_fds)
        self._seen = set()  # every process that ever belonged to it
        try:
            wait_for(self._accepting, 30, lambda: f"the gateway to listen; its log:\n{self.log()}")
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()

    def _accepting(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()}")
        try:
            for port in (self.flv_port, self.snapshot_port):  # one is there a little before the other
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return True
        except ConnectionRefusedError:
            return False

    # --- processes ---

    @property
    def pid(self):
        return self.process.pid

    def _children(self):
        """(nurseries, workers): the master's children.  Forking a worker takes a child of the nursery, for a moment."""
        nurseries, workers, own = [], [], processes.command_line(self.pid)
        for pid in processes.children(self.pid):
            title = processes.command_line(pid)
            if title in (own, ""):  # forked, but not the nursery's program yet, or about to become it
                continue
            (nurseries if "nursery" in title or "cam-httpflv-worker" in title else workers).append(pid)
        self._seen.update(nurseries + workers)
        # A worker has the nursery's title for a moment after its fork.
        eldest = sorted(nurseries, key=processes.started)[:1]
        return eldest, workers

    def nursery(self):
        """The nursery's pid, None while there is none."""
        nurseries, _ = self._children()
        return nurseries[0] if nurseries else None

    def all_workers(self):
        """Forked workers, spare ones too."""
        return self._children()[1]

    def busy_workers(self):
        """Workers with a camera: a spare one has only its channel, no TCP or UDP socket."""
        table = _inet_table()
        return [pid for pid in self.all_workers() if internet_sockets(pid, table)]

    def worker_of(self, camera_port):
        """Workers that have a TCP connection to that port of a camera."""
        table = _inet_table()
        return [pid for pid in self.all_workers() if camera_port in remote_ports(pid, table)]

    # --- requests ---

    def request(self, target, method="GET", headers=None, timeout=60):
        return request(self.flv_port, target, method, headers, timeout)

    def get(self, cam_url, method="GET", headers=None, raw=False, timeout=60, **parameters):
        return self.request(stream_target(cam_url, raw, **parameters), method, headers, timeout)

    def view(self, cam_url, raw=False, path="/", headers=None, keep_bytes=False, **parameters):
        return Viewer(self.flv_port, stream_target(cam_url, raw, path, **parameters), headers, keep_bytes)

    def url(self, cam_url, **parameters):
        return f"http://127.0.0.1:{self.flv_port}{stream_target(cam_url, **parameters)}"

    def metric(self, name):
        """The value of a series, labels included in its name."""
        text = request(self.snapshot_port, "/metrics").body.decode()
        return float(re.search(rf"^cam_httpflv_{re.escape(name)} (\S+)$", text, re.M).group(1))

    # --- reload ---

    def reload(self, config, word="was read again"):
        """Write another configuration file and send SIGHUP -> the log lines of the reload; the last one has word.

        word=None: do not wait for it.
        """
        before = len(self._reload_lines())
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(config)
        os.kill(self.pid, signal.SIGHUP)
        if word is None:
            return []

        def ended():
            lines = self._reload_lines()[before:]
            return lines and "restart is needed" not in lines[-1] and lines
        lines = wait_for(ended, 20, "the reload")
        assert word in lines[-1], lines
        return lines

    def _reload_lines(self):
        return [line for line in self.log().splitlines() if "reload: " in line]

    # --- log and end ---

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode(errors="replace")

    def stop(self, deadline=30):
        """SIGTERM; exit code 0, no process left, no password in the log, no sanitizer report."""
        self.all_workers()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {deadline} s after SIGTERM:\n{self.log()[-4000:]}") from None
        assert code == 0, f"exit code {code}:\n{self.log()[-4000:]}"
        self.check_gone()
        self.check_log()

    def check_gone(self, deadline=20):
        wait_for(lambda: not self.left_over(), deadline, lambda: f"processes left: {self.left_over()}")

    def left_over(self):
        """Processes of this gateway that still run."""
        pids = set(session_members(self.pid)) | {pid for pid in self._seen if processes.alive(pid)}
        return [(pid, processes.command_line(pid)) for pid in pids]

    def check_log(self):
        text = self.log()
        for secret in self.secrets:
            for form in (secret, encode(secret)):
                assert form not in text, f"the log holds the password {secret!r}"
        for report in ("AddressSanitizer", "ThreadSanitizer", "runtime error:", "LeakSanitizer", "Assertion"):
            assert report not in text, f"{report} in the log:\n{text[text.index(report) - 200:][:6000]}"

    def kill(self):
        """After a failure: end whatever is left, by pid."""
        for pid in {*session_members(self.pid), *self._seen, self.pid}:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


def session_members(session):
    result = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.getsid(int(entry)) == session and processes.alive(int(entry)):
                    result.append(int(entry))
            except (ProcessLookupError, PermissionError):
                pass
    return result


def _inet_table():
    """inode -> remote port, for every TCP and UDP socket of the machine."""
    result = {}
    for name in ("tcp", "udp", "tcp6", "udp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    result[fields[9]] = int(fields[2].rpartition(":")[2], 16)
        except FileNotFoundError:
            pass
    return result


def internet_sockets(pid, table):
    return [s for s in processes.sockets(pid) if s[len("socket:["):-1] in table]


def remote_ports(pid, table=None):
    """Ports of the peers that a process is connected to."""
    if table is None:
        table = _inet_table()
    return {table[s[len("socket:["):-1]] for s in internet_sockets(pid, table)}
