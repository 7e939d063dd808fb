#!/usr/bin/python3
"""make chaos SEED=n SECONDS=n: faults drawn from a seed, while 40 players and 6 pollers use 12 cameras.

After each event: the cameras that it was not about have lost no picture and no player; everybody plays again; the API
and the metrics tell what is so; each process that was killed has its line in the log.  At the end nothing is left.
"""
import argparse
import contextlib
import json
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time

from crowd import Camera, Player, Poller, Town, connect, everybody_plays, head_bytes, wait_for

from lib import processes  # noqa: E402  (crowd leads to it)

H264_CAMERAS, HEVC_CAMERAS, POLLERS = 10, 2, 6
H264_WAYS = ("http", "http", "websocket")
HEVC_WAYS = ("http", "websocket", "h264", "h264", "h264-websocket")
NURSERY_S = 15  # /healthz may say for so long that no worker can be started
STALL_S = 6  # the gateway connects again to a camera that is silent for so long
HEAL_S = 90  # the longest quarantine, and time to connect
OPTIONS = """max_requests_per_minute = 0
client_share = 100
spare_workers = {spares}
log_level = {level}
[camera]
connect_timeout_ms = 15000
stall_timeout_ms = {stall_ms}
[viewer]
queue_max_ms = 20000
stall_timeout_ms = 30000
"""


class Chaos:
    def __init__(self, directory, seed):
        self.dice = random.Random(seed)
        self.cameras = [Camera(f"camera-{n}", audio=n % 2 == 0) for n in range(H264_CAMERAS)]
        self.cameras += [Camera(f"hevc-{n}", "hevc") for n in range(HEVC_CAMERAS)]
        self.town = Town(directory, self.cameras, self.options())
        self.killed = []  # pids whose deaths the log must tell
        self.town.start(self.limits())
        self.players = [Player(self.town, camera, way) for camera in self.cameras
                        for way in (H264_WAYS if camera.video.codec == "h264" else HEVC_WAYS)]
        everybody_plays(self.players, HEAL_S)
        self.pollers = [Poller(self.town, self.dice.choice(self.cameras)) for _ in range(POLLERS)]

    def options(self):
        return OPTIONS.format(stall_ms=1000 * STALL_S, spares=self.dice.randint(0, 4),
                              level=self.dice.choice(("debug", "info")))

    def limits(self):
        """A start with few descriptors, some of the first three closed."""
        closed = "".join(f"exec {fd}<&-; " for fd in (0, 1) if self.dice.random() < 0.5)
        return "sh", "-c", f'ulimit -n {self.dice.choice((256, 1024))}; {closed}exec "$0" "$@"'

    @property
    def gateway(self):
        return self.town.gateway

    def camera(self):
        return self.dice.choice(self.cameras)

    def worker(self, camera):
        return wait_for(lambda: self.gateway.worker_of(camera.port), HEAL_S, f"a worker of {camera.name}")[0]

    # --- events: each returns the cameras that it is about ---

    def kill_a_worker(self):
        camera = self.camera()
        pid = self.worker(camera)
        os.kill(pid, self.dice.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGSYS)))
        self.killed.append(pid)
        return [camera]

    def stop_a_worker(self):
        camera = self.camera()
        pid = self.worker(camera)
        seconds = self.dice.choice((1, 4, 14))
        self.pause(pid, seconds)
        return [camera]

    def kill_the_nursery(self):
        self.town.unwell_until = time.monotonic() + NURSERY_S
        old = wait_for(self.gateway.nursery, 30, "the nursery")
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.gateway.nursery() not in (None, old), 30, "another nursery")
        return []

    def kill_nursery_and_worker(self):
        camera = self.camera()
        pid = self.worker(camera)
        self.kill_the_nursery()
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)
        return [camera]

    def stop_the_nursery(self):
        self.town.unwell_until = time.monotonic() + NURSERY_S
        self.pause(wait_for(self.gateway.nursery, 30, "the nursery"), self.dice.uniform(1, 6))
        return []

    def stop_the_master(self):
        self.pause(self.gateway.pid, self.dice.choice((1, 5, 12)))
        return []

    @staticmethod
    def pause(pid, seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    def reset_a_camera(self):
        camera = self.camera()
        camera.drop()
        return [camera]

    def switch_a_camera_off(self):
        camera = self.camera()
        camera.close()
        time.sleep(self.dice.uniform(0.2, 5))
        camera.listen()
        return [camera]

    def silence_a_camera(self):
        camera = self.camera()
        camera.muted.set()
        time.sleep(self.dice.uniform(0.5, 8))
        camera.muted.clear()
        return [camera]

    def flap_a_camera(self):
        camera = self.camera()
        for _ in range(self.dice.randint(2, 6)):
            camera.drop()
            time.sleep(self.dice.uniform(0.1, 1))
        return [camera]

    def end_a_stream(self):
        camera = self.camera()
        stream = next(s for s in self.streams() if s["camera_url"] == camera.url())
        assert self.town.request("/api/streams/" + stream["id"], "DELETE").status == 204
        return [camera]

    def reload(self):
        self.town.options = self.options()
        self.gateway.reload(self.town.config())
        return []

    def restart(self):
        self.town.stop()
        self.killed.clear()
        self.town.start(self.limits())
        return self.cameras

    def kill_the_master(self):
        everything = [self.gateway.nursery(), *self.gateway.all_workers()]
        os.kill(self.gateway.pid, signal.SIGKILL)
        self.gateway.process.wait(30)
        wait_for(lambda: not any(pid and processes.alive(pid) for pid in everything), 30, "its processes to end")
        self.town.piped.close()
        self.killed.clear()
        self.town.start(self.limits())
        return self.cameras

    def read_no_log(self):
        """The pipe fills up; a storm of lines makes it."""
        self.town.piped.reading.clear()
        for _ in range(self.dice.randint(50, 900)):
            assert self.town.request("/snapshot?cam_url=ftp://x/").status == 400
        time.sleep(self.dice.uniform(0, 3))
        self.town.piped.reading.set()
        return []

    def crowd_comes_and_goes(self):
        camera = self.camera()
        with contextlib.ExitStack() as stack:
            viewers = [stack.enter_context(self.gateway.view(camera.url())) for _ in range(self.dice.randint(5, 30))]
            for viewer in viewers[::5]:
                viewer.wait_frames(3)
        return []

    def viewers_that_read_nothing(self):
        camera = self.camera()
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(connect(self.town.flv_port)).sendall(
                    head_bytes(f"/?cam={camera.name}"))
            time.sleep(self.dice.uniform(0, 4))
        return []

    def junk(self):
        """Half a request, none, and what is no HTTP; some are reset."""
        with contextlib.ExitStack() as stack:
            for _ in range(30):
                sock = stack.enter_context(connect(self.dice.choice((self.town.flv_port, self.town.snapshot_port))))
                with contextlib.suppress(OSError):
                    sock.sendall(self.dice.choice((b"", b"GET /", b"\x16\x03\x01\0\0", b"A" * 20000)))
                if self.dice.random() < 0.5:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return []

    EVENTS = (kill_a_worker, stop_a_worker, kill_the_nursery, kill_nursery_and_worker, stop_the_nursery,
              stop_the_master, reset_a_camera, switch_a_camera_off, silence_a_camera, flap_a_camera, end_a_stream,
              reload, restart, kill_the_master, read_no_log, crowd_comes_and_goes, viewers_that_read_nothing, junk)

    # --- the oracle ---

    def streams(self):
        return json.loads(self.town.request("/api/streams").body)["streams"]

    def judge(self, about):
        """What must be so after an event about these cameras."""
        self.nothing_wrong_with_others(about)
        everybody_plays(self.players, HEAL_S)
        self.nothing_wrong_with_others(about)
        wait_for(lambda: self.town.request("/healthz").status == 200, 30, "/healthz to be well")
        wait_for(self.api_is_true, 30, lambda: f"the API to be true: {self.streams()}")
        self.every_death_has_its_line()
        for visitor in self.players + self.pollers:
            visitor.wrong.clear()
        for camera in self.cameras:
            camera.late_s = 0

    def nothing_wrong_with_others(self, about):
        """A camera of ours that was silent for long because the machine was busy proves nothing."""
        late = [camera for camera in self.cameras if camera.late_s > STALL_S / 2]
        for camera in late:
            print(f"     {camera.name} was late by {camera.late_s:.1f} s: not judged", flush=True)
        wrong = [text for visitor in self.players + self.pollers
                 if visitor.camera not in about and visitor.camera not in late for _, text in visitor.wrong]
        assert not wrong, "\n".join(wrong[:20])

    def api_is_true(self):
        """Each camera streams, to as many viewers as play it; the metrics count the same."""
        found = {s["camera_url"]: (s["state"], s["viewers"]) for s in self.streams()}
        wanted = {c.url(): ("streaming", sum(p.camera is c for p in self.players)) for c in self.cameras}
        metrics = self.town.request("/metrics").body.decode()
        counted = re.search(r"^cam_httpflv_viewers (\d+)$", metrics, re.M)
        return found == wanted and counted and int(counted[1]) == len(self.players)

    def every_death_has_its_line(self):
        for pid in self.killed:
            wait_for(lambda: f"(pid {pid})" in self.gateway.log(), 20, f"the line about process {pid}")

    def run(self, seconds):
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            event = self.dice.choice(self.EVENTS)
            began = time.monotonic()
            about = event(self)
            names = ", ".join(c.name for c in about) if len(about) < len(self.cameras) else "all cameras"
            self.judge(about)
            count += 1
            print(f"{count:4} {event.__name__.replace('_', ' ')}{': ' + names if names else ''}: "
                  f"{time.monotonic() - began:.1f} s", flush=True)
        return count

    def close(self):
        for visitor in self.players + self.pollers:
            visitor.stopping.set()
        for visitor in self.players + self.pollers:
            visitor.stop()
        if self.gateway.process.poll() is None:
            self.town.stop()
        for camera in self.cameras:
            camera.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    sys.setswitchinterval(0.0005)
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        chaos = Chaos(directory, options.seed)
        try:
            count = chaos.run(options.seconds)
            frames = sum(player.frames for player in chaos.players)
            asked = sum(poller.asked for poller in chaos.pollers)
        except BaseException:
            sys.stderr.write(chaos.gateway.log()[-6000:])
            chaos.gateway.kill()
            raise
        chaos.close()
    print(f"seed {options.seed}: {count} events, {frames} pictures, {asked} answers, nothing wrong")


if __name__ == "__main__":
    main()
