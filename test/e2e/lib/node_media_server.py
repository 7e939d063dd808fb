"""node-media-server (npm), and ffmpeg that publishes to it: with NodeMediaServer() as server: server.publish("cam", …)."""
import os

from .gateway import free_port
from .media_server import MediaServer
from .player_page import MODULES
from .wait import wait_for

PACKAGE = os.path.join(MODULES, "node-media-server")
# It would listen on all addresses.
PROGRAM = """
const [rtmp, http, folder] = process.argv.slice(1);
const {Server} = require('net');
const {listen} = Server.prototype;
Server.prototype.listen = function (port, ready) { return listen.call(this, port, '127.0.0.1', ready); };
const NodeMediaServer = require(%r);
new NodeMediaServer({logType: 0,
                     rtmp: {port: Number(rtmp), chunk_size: 60000, gop_cache: true, ping: 30, ping_timeout: 60},
                     http: {port: Number(http), mediaroot: folder, allow_origin: '*'}}).run();
""" % PACKAGE


def missing():
    """Why it cannot be tried here, or None."""
    return None if os.path.exists(PACKAGE) else f"{PACKAGE} is missing: make web-dev"


class NodeMediaServer(MediaServer):
    """It keeps the newest GOP, and sends it in a burst to whoever joins."""

    def __init__(self):
        super().__init__("node-media-server")
        self._ports = {"rtmp": free_port(), "http": free_port()}
        self._start(["node", "-e", PROGRAM, *map(str, self._ports.values()), self._folder.name])
        wait_for(lambda: all(map(self._listens, self._ports.values())), 60, "node-media-server to listen")

    def url(self, scheme, name):
        return f"{scheme}://127.0.0.1:{self._ports[scheme]}/live/{name}" + (".flv" if scheme == "http" else "")

    def publish(self, name, gop, sound):
        """25 pictures a second, a key frame every so many, and a tone of 440 Hz; sound: ffmpeg's options for it."""
        return self._start(["ffmpeg", "-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i",
                            "testsrc2=size=320x180:rate=25", "-re", "-f", "lavfi", "-i", "sine=frequency=440",
                            "-c:v", "libx264", "-preset", "ultrafast", "-x264-params",
                            f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0", *sound, "-f", "flv",
                            self.url("rtmp", name)])
