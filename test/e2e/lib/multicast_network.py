"""A network of its own with a camera that multicasts, GStreamer's server, and a gateway that is asked for it.

As a program, below `unshare --net`, by root: the camera lives in a second network, at the other end of a cable, since
neither of two programs on one machine can bind the group's port while the other has it.  Prints what came.
"""
import json
import subprocess
import sys
import tempfile

from .gateway import Gateway
from .gst_server import GstServer, h264
from .http import request

OURS, CAMERA = "10.99.0.1", "10.99.0.2"


def run(*command):
    subprocess.run(command, check=True, timeout=30)


def set_up(name, address):
    return (f"ip link set lo up; ip address add {address}/24 dev {name}; ip link set {name} up; "
            f"ip route add 224.0.0.0/4 dev {name}")


def main(extra=""):
    other = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"ready\n"
    enter = ("nsenter", "--target", str(other.pid), "--net")
    run("ip", "link", "add", "cam0", "type", "veth", "peer", "name", "cam1", "netns", str(other.pid))
    run("sh", "-c", set_up("cam0", OURS))
    run(*enter, "sh", "-c", set_up("cam1", CAMERA))
    try:
        with GstServer(None, h264(), "multicast", address=CAMERA, enter=enter) as server, \
                tempfile.TemporaryDirectory() as folder, Gateway(folder, extra) as gateway:
            with gateway.view(server.url, cam_type="rtsp-multicast") as viewer:
                viewer.wait_frames(50)
                with open("/proc/net/igmp", encoding="ascii") as file:
                    joined = "0C" in file.read()
                api = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"][0]
            viewer.flv.check()
            print(json.dumps({"frames": len(viewer.flv.video), "cam_type": api["cam_type"], "joined": joined,
                              "log": gateway.log()}))
    finally:
        other.stdin.close()
        other.wait(10)


if __name__ == "__main__":
    main(*sys.argv[1:])
