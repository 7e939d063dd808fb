"""systemd as a service sees it that leaves descriptors for its next start (FileDescriptorStoreMax=, sd_notify(3))."""
import contextlib
import fcntl
import os
import socket
import threading

from .gateway import Gateway
from .ports import free_port
from .wait import wait_for

STORE_MAX = 8
FIRST = 3  # SD_LISTEN_FDS_START
HIGH = 200  # descriptors of ours that a redirection below does not overwrite


class SystemdStore:
    """Starts the gateway, again and again, on ports that stay; keeps what it stores meanwhile.

    kept     name -> descriptors
    deaf     what it is told from now on comes too late: the gateway is killed before
    gateway  the one that was started last
    """

    def __init__(self, directory, config):
        self.config, self.ports, self.gateway = config, (free_port(), free_port()), None
        self.kept, self.overflows, self.deaf = {}, 0, False
        self._directory, self._starts = directory, 0
        self._address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._lock, self._paused, self._go_on = threading.Lock(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def busy(self):
        """It reads nothing, and its queue is full of others' messages.  Once."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"PAUSE", self._address)
            assert self._paused.wait(30)
            sender.setblocking(False)
            try:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sender.sendto(b"X=1", self._address)
                yield
            finally:
                self._go_on.set()

    def _run(self):
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 4096, STORE_MAX)
            if data == b"END":
                return
            if data == b"PAUSE":
                self._paused.set()
                self._go_on.wait()
            with self._lock:
                self._take(dict(line.partition("=")[::2] for line in data.decode().splitlines()), descriptors)

    def _take(self, told, descriptors):
        name = told.get("FDNAME", "stored")
        if self.deaf:
            told = {}
        if told.get("FDSTORE") == "1" and sum(map(len, self.kept.values())) + len(descriptors) <= STORE_MAX:
            self.kept.setdefault(name, []).extend(descriptors)
            descriptors = []
        elif told.get("FDSTOREREMOVE") == "1":
            descriptors += self.kept.pop(name, [])
        self.overflows += told.get("FDSTORE") == "1" and bool(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def sync(self):
        """What was sent before has been taken: as BARRIER=1, its descriptor is closed then."""
        read, write = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self._address)
            socket.send_fds(sender, [b"BARRIER=1"], [write])
        os.close(write)
        os.read(read, 1)
        os.close(read)

    def start(self, store=str(STORE_MAX)):
        """The next start, with all that is kept.  AssertionError: it fails."""
        self.sync()
        names, copies = [], []
        with self._lock:
            for name, descriptors in self.kept.items():
                names += [name] * len(descriptors)
                copies += [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH) for descriptor in descriptors]
        redirections = " ".join(f"{FIRST + i}<&{copy}" for i, copy in enumerate(copies))
        listen = f"export LISTEN_PID=$$ LISTEN_FDS={len(copies)} LISTEN_FDNAMES={':'.join(names)};" if copies else ""
        self._starts += 1
        directory = self._directory / str(self._starts)
        directory.mkdir()
        server = f"[server]\nbind = 127.0.0.1\nflv_port = {self.ports[0]}\nsnapshot_port = {self.ports[1]}\n"
        try:
            self.gateway = Gateway(directory, server + self.config, ports=self.ports, pass_fds=copies,
                                   prefix=("bash", "-c", f'{listen} exec "$@" {redirections}', "sh"),
                                   env={"NOTIFY_SOCKET": self._address, "FDSTORE": store})
        finally:
            for copy in copies:
                os.close(copy)
        wait_for(lambda: self.gateway.process.poll() is not None or "nursery" in self.gateway.log() or self.gateway.nursery(), 30,
                 "the program to run")
        assert self.gateway.process.poll() is None, self.gateway.log()
        return self.gateway

    def stop(self):
        """SIGTERM to the master, as `systemctl restart` and `systemctl stop` do."""
        self.gateway.stop()
        self.sync()

    def kill(self):
        """kill -9 of the master; systemd starts another when no process is left."""
        self.gateway.process.kill()
        self.gateway.process.wait()
        self.gateway.check_gone()
        self.gateway.check_log()
        self.sync()

    def forget(self):
        """The unit is stopped: nothing is kept."""
        with self._lock:
            for descriptors in self.kept.values():
                for descriptor in descriptors:
                    os.close(descriptor)
            self.kept.clear()

    def close(self):
        try:
            if self.gateway is not None and self.gateway.process.returncode is None:
                self.gateway.stop()
        finally:
            if self.gateway is not None:
                self.gateway.kill()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto(b"END", self._address)
            self._thread.join()
            self._socket.close()
            self.forget()
