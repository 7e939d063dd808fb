"""GStreamer's RTSP server with lines of its users, showing the sample cameras' pictures (lib/picture.py reads them) or
a ball.

As a program: gst_server.py ADDRESS PORT FRAME_FILES LINE [OPTION…], which plays LINE under /camera until it is ended.
Options: "AVPF", that profile; "multicast", to groups of 239.255.12.0/28 only; "NAME=LINE", another line under /NAME.
A line that begins with filesrc brings its own picture.
"""
import os
import socket
import subprocess
import sys

from . import processes
from .gateway import ROOT, free_port
from .wait import wait_for

WIDTH, HEIGHT, FRAMES, FPS = 640, 360, 100, 25
PYTHON = "/usr/bin/python3"  # whose packages are Debian's
BALL = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=180,framerate=25/1 ! "


def h264(gop=50):
    """A line: a key frame every so many pictures."""
    return (f"x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} ! "
            "rtph264pay name=pay0 pt=96 config-interval=-1")


def missing():
    """Why it cannot be tried here, or None."""
    done = subprocess.run([PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"],
                          stderr=subprocess.DEVNULL, timeout=60)
    return None if done.returncode == 0 else "no python3-gi with gst-rtsp-server: scripts/install-packages test"


def draw_frames(folder):
    """One file of raw video for each picture."""
    subprocess.run(["make", "-s", "-C", ROOT, "BUILD=release", "sample-cameras"], check=True,
                   stdout=subprocess.DEVNULL, timeout=300)
    raw = subprocess.run([os.path.join(ROOT, "build/release/test/sample-picture"), str(WIDTH), str(HEIGHT),
                          str(FRAMES), str(FRAMES), "8"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    size = WIDTH * HEIGHT * 3 // 2
    for i in range(FRAMES):
        with open(os.path.join(folder, f"{i:05d}.yuv"), "wb") as file:
            file.write(raw[i * size:(i + 1) * size])


class GstServer:
    """with GstServer(folder of draw_frames, "x264enc ! rtph264pay name=pay0 pt=96") as server: … server.url

    frames: None for a ball; enter: a command that the server is started by, such as one that changes its network.
    mount("NAME"): the address of another line.
    """

    def __init__(self, frames, line, *options, address="127.0.0.1", enter=()):
        self.port = free_port()
        self.url = f"rtsp://{address}:{self.port}/camera"
        self._process = subprocess.Popen(
            [*enter, PYTHON, "-m", "lib.gst_server", address, str(self.port), str(frames or ""), line, *options],
            cwd=os.path.join(ROOT, "test", "e2e"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, preexec_fn=processes.die_with_parent)

        def listens():
            assert self._process.poll() is None, self._process.stderr.read()
            try:
                socket.create_connection((address, self.port), 5).close()
            except OSError:
                return False
            return True
        wait_for(listens, 30, "GStreamer's RTSP server")

    def mount(self, name):
        return self.url.replace("/camera", f"/{name}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        processes.end(self._process)


def main(address, port, frames, line, *options):
    import gi
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer
    Gst.init(None)
    source = (f"multifilesrc location={frames}/%05d.yuv loop=true stop-index={FRAMES - 1} ! rawvideoparse "
              f"format=i420 width={WIDTH} height={HEIGHT} framerate={FPS}/1 ! identity sync=true ! ") if frames else BALL
    server = GstRtspServer.RTSPServer()
    server.set_address(address)
    server.set_service(port)
    mounts = server.get_mount_points()

    def add(name, line):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {line} )" if line.startswith("filesrc") else f"( {source} {line} )")
        factory.set_shared(True)
        mounts.add_factory(f"/{name}", factory)
        return factory
    factory = add("camera", line)
    for option in options:
        if "=" in option:
            add(*option.split("=", 1))
    if "AVPF" in options:
        factory.set_profiles(GstRtsp.RTSPProfile.AVPF)
    if "multicast" in options:
        pool = GstRtspServer.RTSPAddressPool()
        pool.add_range("239.255.12.0", "239.255.12.15", 5000, 5100, 1)
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP_MCAST)
        factory.set_address_pool(pool)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
