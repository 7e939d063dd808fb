"""Bounds: cameras, viewers, slow viewers, workers that hang."""
import collections
import json
import os
import re
import resource
import select
import socket

import pytest

from conftest import QUICK
from lib import processes
from lib.bystander import ADDRESS
from lib.gateway import ROOT
from lib.http import Answer, connect, head_bytes, read_all, request, stream_target
from lib.wait import wait_for


def test_max_cameras(make_gateway, make_camera):
    gateway = make_gateway("[server]\nmax_cameras = 2\n" + QUICK)
    cameras = [make_camera() for _ in range(3)]
    with gateway.view(cameras[0].url()) as a, gateway.view(cameras[1].url()) as b:
        a.wait_frames(2)
        b.wait_frames(2)
        answer = gateway.get(cameras[2].url())
        assert (answer.status, answer.code) == (503, "too_many_cameras")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["access-control-allow-origin"] == "*"
        with gateway.view(cameras[0].url()) as again:  # one that runs takes more viewers
            again.wait_frames(2)
    assert cameras[2].connections == 0

    def place_is_free():
        with gateway.view(cameras[2].url()) as viewer:
            return viewer.wait_status() == 200
    wait_for(place_is_free, 30, "a place to become free", interval=0.3)


def test_max_viewers(make_gateway, camera):
    gateway = make_gateway("[server]\nmax_viewers = 3\n" + QUICK)
    viewers = [gateway.view(camera.url()) for _ in range(3)]
    try:
        for viewer in viewers:
            viewer.wait_frames(2)

        def refused():
            with gateway.view(camera.url()) as fourth:
                return fourth.wait_status() == 503 and b"too_many_viewers" in fourth.body
        # The master counts a viewer from its worker's report, which may be a second old.
        wait_for(refused, 10, "the fourth viewer to be refused", interval=0.2)
        viewers.pop().close()

        def accepted():
            with gateway.view(camera.url()) as next_one:
                return next_one.wait_status() == 200
        wait_for(accepted, 20, "a viewer's place to become free", interval=0.3)
    finally:
        for viewer in viewers:
            viewer.close()


def test_viewer_that_takes_nothing_is_disconnected(make_gateway, make_camera):
    from lib import fake_rtsp
    gateway = make_gateway(QUICK + "[viewer]\nstall_timeout_ms = 2000\n")
    camera = make_camera(fake_rtsp.media("h264", size="1280x720", bit_rate="6M"))
    with gateway.view(camera.url()) as healthy:
        healthy.wait_frames(10)
        with connect(gateway.flv_port) as stuck:
            stuck.sendall(head_bytes(stream_target(camera.url())))
            healthy.wait_more(10)
            worker = gateway.worker_of(camera.port)[0]
            peer = stuck.getsockname()[1]
            from lib.gateway import remote_ports
            wait_for(lambda: peer in remote_ports(worker), 20, "the worker to have the stuck viewer")
            wait_for(lambda: peer not in remote_ports(worker), 90, "the stuck viewer to be disconnected")
        healthy.wait_more(25)
    healthy.flv.check()
    loop = camera.video.slices()
    got = [frame.pictures()[0] for frame in healthy.flv.video]
    first = loop.index(got[0])
    assert got == [loop[(first + n) % len(loop)] for n in range(len(got))]


def test_worker_out_of_descriptors(gateway, camera):
    """Viewers that it cannot take are cut; it serves the others, and still leaves when all have gone."""
    with gateway.view(camera.url()) as viewer:
        viewer.wait_frames(5)
        worker = gateway.worker_of(camera.port)[0]
        room = max(processes.open_files(worker)) + 2
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (room, room))
        lost = [gateway.view(camera.url()) for _ in range(5)]
        try:
            wait_for(lambda: any(one.closed_by_server and one.status is None for one in lost), 30, "one to be cut")
            viewer.wait_more(10)
        finally:
            for one in lost:
                one.stop()
    wait_for(lambda: not processes.alive(worker), 30, "the worker to leave")


def test_refused_client_that_is_still_sending(make_gateway, make_camera):
    """It can send its body to the end, and has its answer then."""
    gateway = make_gateway("[server]\nmax_cameras = 1\n" + QUICK)
    with gateway.view(make_camera().url()) as viewer:
        viewer.wait_frames(2)
        with connect(gateway.snapshot_port, timeout=60) as sock:
            sock.sendall(head_bytes("/snapshot?cam_url=rtsp://127.0.0.2/x", "POST"))
            sock.sendall(bytes(32 << 20))
            answer = Answer(read_all(sock))
    assert (answer.status, answer.code) == (503, "too_many_cameras")


def many_cameras(count):
    """Configuration of cameras that are listed, each of them some kilobytes of metrics."""
    return "[server]\nmax_cameras = 1\n" + QUICK + "".join(
        f"[camera \"a-camera-with-quite-a-long-name-{n}\"]\nurl = rtsp://127.0.0.1:1/{n}\nalways_on = yes\n"
        for n in range(count))


def test_half_closed_client_gets_a_big_answer(make_gateway):
    gateway = make_gateway(many_cameras(2000))
    with connect(gateway.snapshot_port, timeout=60) as sock:
        sock.sendall(head_bytes("/metrics"))
        sock.shutdown(socket.SHUT_WR)
        answer = Answer(read_all(sock, 1 << 26))
    assert len(answer.body) == int(answer.headers["content-length"])


def test_answers_that_nobody_takes_are_bounded(make_gateway):
    """Whoever has been reading for longest makes room: memory is bounded, and others get their answers."""
    gateway = make_gateway(many_cameras(2000))
    size = int(request(gateway.snapshot_port, "/metrics", "HEAD").headers["content-length"])
    assert size > 4 << 20
    slow = []

    def made_room():
        """Who asks at the same time gets the same text; it is others that take memory."""
        slow.append(connect(gateway.snapshot_port))
        slow[-1].sendall(head_bytes("/metrics"))
        assert slow[-1].recv(12) == b"HTTP/1.1 200"
        with connect(gateway.snapshot_port, source=ADDRESS) as other:
            other.sendall(head_bytes("/metrics"))
            answer = Answer(read_all(other, 1 << 26))
        assert len(answer.body) == int(answer.headers["content-length"])
        return int(re.search(rb"^cam_httpflv_evicted_connections_total (\d+)$", answer.body, re.M)[1]) > 2
    try:
        wait_for(made_room, 90, "slow readers to be closed", interval=0.2)
        assert processes.private_bytes(gateway.pid) < 128 << 20
    finally:
        for sock in slow:
            sock.close()


# --- workers that do not obey (test/tools/lying_worker.c) ------------------------------------------------------------


def defined(name, path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        return int(re.search(rf"^#define {name} (\d+)\b", source.read(), re.MULTILINE)[1])


LEAVING_MAX = defined("LEAVING_MAX", "master/camera_admission.h")
OUTBOX_MAX = defined("OUTBOX_MAX", "master/outbox.h")
MAX_CAMERAS = 2


@pytest.fixture
def lying(make_lying_gateway):
    return make_lying_gateway(f"max_cameras = {MAX_CAMERAS}\nclient_share = 100\n")


def head_for(lie, number, path="/"):
    return head_bytes(stream_target(f"rtsp://127.0.0.1:9/lie/{lie}-{number}", path=path))


def streams(gateway):
    """ID -> state."""
    found = json.loads(request(gateway.snapshot_port, "/api/streams").body)["streams"]
    return {stream["id"]: stream["state"] for stream in found}


def stop(gateway, stream):
    return request(gateway.snapshot_port, "/api/streams/" + stream, "DELETE")


def start_stream(gateway, lie, number):
    """-> its ID, once its worker is there; or the answer that refuses it.  By a snapshot request: a worker that keeps
    viewers that have gone is killed for that."""
    before = streams(gateway)
    with connect(gateway.snapshot_port) as client:
        client.sendall(head_for(lie, number, "/snapshot"))
        wait_for(lambda: select.select([client], [], [], 0)[0]
                 or [state for found, state in streams(gateway).items() if found not in before] == ["streaming"], 30,
                 lambda: streams(gateway), interval=0.002)
        if select.select([client], [], [], 0)[0]:
            return Answer(read_all(client))
    return (streams(gateway).keys() - before.keys()).pop()


def test_workers_that_do_not_leave_are_bounded(lying):
    """Streams that are stopped and started in a loop start no end of processes; running ones take more viewers."""
    running = start_stream(lying, "stay", 0)
    refused = 0
    for number in range(1, 2 * LEAVING_MAX):
        started = start_stream(lying, "stay", number)
        if isinstance(started, Answer):
            assert (started.status, started.code) == (503, "overloaded")
            assert "still leaving" in started.error["message"] and int(started.headers["retry-after"]) >= 1
            refused += 1
        else:
            assert stop(lying, started).status == 204
        assert len(lying.all_workers()) <= MAX_CAMERAS + LEAVING_MAX
        if refused > 3:
            break
    assert list(streams(lying)) == [running]
    # Told to leave, they had their time; killed, they are gone, and the one that was not told is there still.
    wait_for(lambda: len(lying.all_workers()) == 1, 60, lambda: f"one worker: {lying.all_workers()}")
    assert lying.log().count("did not leave when told to: it is killed") >= LEAVING_MAX / 2
    assert list(streams(lying)) == [running]


def fill_outbox(gateway, number):
    """Ask for pictures of that camera until its worker's outbox takes no more. -> the answer that says so, or None: on
    a busy machine the worker is killed for reading nothing before its outbox is full."""
    newest = collections.deque()  # so that not all sockets are open at a time
    try:
        for _ in range(2 * OUTBOX_MAX):
            newest.append(connect(gateway.snapshot_port))
            newest[-1].sendall(head_for("deaf", number, "/snapshot"))
            if len(newest) > 50:
                with newest.popleft() as oldest:
                    if select.select([oldest], [], [], 0)[0]:
                        return answer_of(oldest)
        answered = select.select(newest, [], [], 20)[0]  # the master may have got behind
        assert answered, "the outbox has no bound"
        return answer_of(answered[-1])
    finally:
        for sock in newest:
            sock.close()


def answer_of(sock):
    answer = read_all(sock)
    return Answer(answer) if answer else None


TRIES = 3


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2 * OUTBOX_MAX, reason="needs more descriptors")
def test_stream_whose_worker_takes_no_more_messages_cannot_be_stopped(lying):
    """DELETE says so; the worker is killed for reading nothing, and its clients' descriptors are given back."""
    for number in range(TRIES):
        stream = start_stream(lying, "deaf", number)
        before = len(processes.open_files(lying.pid))
        answer = fill_outbox(lying, number)
        if answer:
            break
        wait_for(lambda: not lying.all_workers(), 40, "the worker that was killed to end")
    assert answer, "the outbox has no bound"
    assert (answer.status, answer.code) == (503, "overloaded")
    assert "cannot take more requests" in answer.error["message"]
    assert len(processes.open_files(lying.pid)) > OUTBOX_MAX / 2
    answer = stop(lying, stream)
    assert (answer.status, answer.code) == (503, "overloaded")
    assert "stream's worker" in answer.error["message"] and int(answer.headers["retry-after"]) >= 1
    assert streams(lying) == {stream: "streaming"}  # nothing was done
    wait_for(lambda: "has read none of its messages for 10 s: it is killed" in lying.log(), 40, "it to be killed")
    wait_for(lambda: not lying.all_workers(), 20, "its process to end")
    wait_for(lambda: len(processes.open_files(lying.pid)) <= before, 20, "the descriptors to be given back")
