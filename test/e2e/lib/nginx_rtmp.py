"""nginx with its RTMP module, and ffmpeg that publishes to it: with NginxRtmp() as server: server.publish("cam", …)."""
import os
import socket
import subprocess
import tempfile

from . import processes
from .gateway import free_port
from .wait import wait_for

MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
CONFIGURATION = """
load_module {module};
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 64; }}
rtmp {{
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        application live {{ live on; {options} }}
    }}
}}
"""


class NginxRtmp:
    """options: directives of the application, e.g. "wait_key on;"."""

    def __init__(self, options=""):
        self._folder = tempfile.TemporaryDirectory(prefix="nginx-rtmp-")
        self.port = free_port()
        self._children = []
        path = os.path.join(self._folder.name, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(module=MODULE, folder=self._folder.name, port=self.port, options=options))
        self._start(["nginx", "-p", self._folder.name, "-c", path])
        wait_for(self._listens, 20, "nginx to listen")

    def _start(self, command):
        self._children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, preexec_fn=processes.die_with_parent))
        return self._children[-1]

    def _listens(self):
        assert self._children[0].poll() is None, "nginx ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except ConnectionRefusedError:
            return False
        return True

    def url(self, name):
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    def publish(self, name, gop, sound=True):
        """25 pictures a second, a key frame every so many, and a tone."""
        tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100", "-c:a", "aac"] if sound else []
        return self._start(["ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i",
                            "testsrc2=size=320x180:rate=25", *tone[:4], "-c:v", "libx264", "-preset", "ultrafast",
                            "-x264-params", f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0", *tone[4:],
                            "-f", "flv", self.url(name)])

    def publish_file(self, name, path):
        """An FLV file as it is, again and again."""
        return self._start(["ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(path),
                            "-c", "copy", "-f", "flv", self.url(name)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self._children):
            processes.end(child)
        self._folder.cleanup()
