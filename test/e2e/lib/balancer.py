"""The proxies in front of several gateways: the real program with its configuration of docs/.

Of the configuration only addresses, ports and paths are the test's, and the lines for TLS, which are comments
there, are switched on.  Each replacement has to find what it replaces.
"""
import os
import re
import shutil
import ssl
import subprocess

from . import processes
from .gateway import ROOT, free_port
from .http import request
from .scripted_rtsp import certificate

STREAMS, SNAPSHOTS = 8005, 8006  # ports in the documents


def substitute(text, pattern, replacement):
    """Regular expressions of whole lines without their indentation; exactly one line has to match."""
    text, count = re.subn(rf"^([ \t]*){pattern}$", lambda m: m.group(1) + m.expand(replacement), text, flags=re.M)
    assert count == 1, f"{pattern}: {count} lines"
    return text


class Balancer:
    """What the proxies have in common.  close() it.

    document            of docs/
    decodes             does it see that two spellings of a URL are the same camera?
    """

    document = None
    decodes = None

    def __init__(self, directory, gateways):
        self.flv_port, self.tls_port, self.snapshot_port = free_port(), free_port(), free_port()
        self.directory = directory
        certificate(directory)  # cert.pem, key.pem
        self.tls = ssl.create_default_context(cafile=directory / "cert.pem")
        self.path = directory / "balancer.conf"
        self.path.write_text(self.adapt(self.read_document(), gateways), encoding="utf-8")
        self._output = open(directory / "balancer.log", "wb")
        self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=self._output,
                                        stderr=self._output, preexec_fn=processes.die_with_parent)

    def read_document(self):
        with open(os.path.join(ROOT, "docs", self.document), encoding="utf-8") as file:
            return file.read()

    def adapt(self, text, gateways):
        """-> the configuration with addresses, ports and paths of the test."""
        raise NotImplementedError

    def command(self):
        """-> what to start."""
        raise NotImplementedError

    def ask(self, target, **kwargs):
        """A request to the snapshot port; the proxies would keep the connection."""
        return request(self.snapshot_port, target, headers={"Connection": "close"}, **kwargs)

    def healthy(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.ask("/healthz", timeout=5).status == 200
        except OSError:
            return False

    def log(self):
        """All it wrote, to its output and to files."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self._output.close()


class HAProxy(Balancer):
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    document = "haproxy.cfg"
    decodes = True

    def adapt(self, text, gateways):
        pem = self.directory / "both.pem"
        pem.write_bytes((self.directory / "cert.pem").read_bytes() + (self.directory / "key.pem").read_bytes())
        text = substitute(text, f"bind :{STREAMS}", f"bind 127.0.0.1:{self.flv_port}")
        text = substitute(text, f"bind :{SNAPSHOTS}", f"bind 127.0.0.1:{self.snapshot_port}")
        text = substitute(text, r"# bind :443 ssl crt \S+ (.*)", rf"bind 127.0.0.1:{self.tls_port} ssl crt {pem} \2")
        for n, gateway in enumerate(gateways, 1):
            for port, ours in ((STREAMS, gateway.flv_port), (SNAPSHOTS, gateway.snapshot_port)):
                text = substitute(text, rf"server gateway-{n} 10\.0\.0\.1{n}:{port}",
                                  f"server gateway-{n} 127.0.0.1:{ours} check port {gateway.snapshot_port}")
        return text

    def command(self):
        return [self.program, "-db", "-f", str(self.path)]


class Nginx(Balancer):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    document = "nginx.conf"
    decodes = False

    def adapt(self, text, gateways):
        text = substitute(text, f"listen {STREAMS};", f"listen 127.0.0.1:{self.flv_port};")
        text = substitute(text, f"listen {SNAPSHOTS};", f"listen 127.0.0.1:{self.snapshot_port};")
        text = substitute(text, "# listen 443 ssl;", f"listen 127.0.0.1:{self.tls_port} ssl;")
        text = substitute(text, r"# (ssl_certificate +)\S+;", rf"\2{self.directory}/cert.pem;")
        text = substitute(text, r"# (ssl_certificate_key +)\S+;", rf"\2{self.directory}/key.pem;")
        text = substitute(text, r"access_log \S+ (.*)", rf"access_log {self.directory}/access.log \2")
        text = substitute(text, r"error_log \S+ (.*)", rf"error_log {self.directory}/error.log \2")
        for n, gateway in enumerate(gateways, 1):
            for port, ours in ((STREAMS, gateway.flv_port), (SNAPSHOTS, gateway.snapshot_port)):
                text = substitute(text, rf"server 10\.0\.0\.1{n}:{port} (.*)", rf"server 127.0.0.1:{ours} \2")
        return text

    def command(self):
        return [self.program, "-p", str(self.directory), "-c", str(self.path), "-e", "stderr",
                "-g", f"daemon off; pid {self.directory}/nginx.pid;"]
