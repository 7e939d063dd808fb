"""nginx with its RTMP module, and ffmpeg that publishes to it: with NginxRtmp() as server: server.publish("cam", …)."""
import os

from .gateway import free_port
from .media_server import MediaServer
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


class NginxRtmp(MediaServer):
    """options: directives of the application, e.g. "wait_key on;"."""

    def __init__(self, options=""):
        super().__init__("nginx-rtmp")
        self.port = free_port()
        path = os.path.join(self._folder.name, "nginx.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(module=MODULE, folder=self._folder.name, port=self.port, options=options))
        self._start(["nginx", "-p", self._folder.name, "-c", path])
        wait_for(lambda: self._listens(self.port), 20, "nginx to listen")

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
