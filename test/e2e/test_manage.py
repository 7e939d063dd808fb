"""Cameras that requests save and remove: PUT and DELETE /api/cameras/NAME."""
import concurrent.futures
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import QUICK
from lib import refuse_syscall
from lib.gateway import Gateway, binary, clean_environment
from lib.http import Answer, Viewer, connect, encode, exchange, head_bytes, read_all, request
from lib.wait import wait_for

TOKEN = "manage-token-of-the-test"
KEY = "manage-signing-key"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PASSWORDS = ["p@ss#1", "pa%ss w;ord/?"]
NR_RENAME = {"x86_64": 82, "aarch64": 38}[os.uname().machine]  # renameat on the latter


def config(folder, more="", access="manage = yes\n"):
    return (f"{QUICK}[access]\ntoken = {TOKEN}\nsigning_key = {KEY}\nmanage_file = {folder}/cameras.ini\n{access}{more}")


def put(gateway, name, body, headers=BEARER, **kwargs):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request(gateway.snapshot_port, f"/api/cameras/{name}", "PUT", headers, body=raw, **kwargs)


def delete(gateway, name, headers=BEARER):
    return request(gateway.snapshot_port, f"/api/cameras/{name}", "DELETE", headers)


def listed(gateway):
    """name -> camera"""
    answer = request(gateway.snapshot_port, "/api/cameras", headers=BEARER)
    assert answer.status == 200, answer.body
    return {camera["name"]: camera for camera in json.loads(answer.body)["cameras"]}


def watch(gateway, name):
    return Viewer(gateway.flv_port, f"/?cam={name}", BEARER)


def names_in(path):
    with open(path, encoding="utf-8") as file:
        return re.findall(r'^\[camera "(.*)"\]$', file.read(), re.M)


def refused(answer, status, code, *words):
    assert (answer.status, answer.code) == (status, code), answer.body
    for word in words:
        assert word in answer.error["message"], answer.body
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def gateway(folder, h264_camera, tmp_path_factory):
    own = f'[camera "own"]\nurl = {h264_camera.url("/own")}\n'
    with Gateway(tmp_path_factory.mktemp("gateway"), config(folder, own), secrets=[TOKEN, KEY, *PASSWORDS]) as one:
        yield one


# --- who may ----------------------------------------------------------------------------------------

def test_only_the_token_saves(gateway, folder):
    body = {"camera_url": "rtsp://10.0.0.9/"}
    expires = int(time.time()) + 60
    signed = []
    for path in ("*", "/api/cameras/x"):
        mac = hmac.new(KEY.encode(), f"{path}\nown\n{expires}".encode(), hashlib.sha256).hexdigest()
        signed.append(f"x?cam=own&expires={expires}&signature={mac}")
    for name in ("x", "x?token=wrong", *signed):
        assert refused(put(gateway, name, body, {}), 401, "unauthorized")
        assert refused(delete(gateway, name, {}), 401, "unauthorized")
    assert refused(put(gateway, "x", body, {"Authorization": "Bearer wrong"}), 401, "unauthorized")
    assert not os.path.exists(folder / "cameras.ini")
    assert put(gateway, f"x?token={encode(TOKEN)}", body, {"Origin": "http://elsewhere.example"}).status == 201
    assert delete(gateway, f"x?token={encode(TOKEN)}", {}).status == 204


def test_off_by_default(make_gateway, tmp_path):
    gateway = make_gateway(config(tmp_path, access=""))
    with open(tmp_path / "cameras.ini", "w", encoding="utf-8") as file:
        file.write('[camera "gate"]\nurl = rtsp://10.0.0.9/\n')
    assert refused(put(gateway, "x", {"camera_url": "rtsp://10.0.0.9/"}), 403, "manage_off", "manage = yes")
    assert refused(delete(gateway, "gate"), 403, "manage_off")
    answer = json.loads(request(gateway.snapshot_port, "/api/cameras", headers=BEARER).body)
    assert answer == {"cameras": [], "manage": False}
    assert names_in(tmp_path / "cameras.ini") == ["gate"]


def test_needs_a_token(tmp_path):
    path = tmp_path / "x.ini"
    path.write_text("[access]\nmanage = yes\nsigning_key = k\n")
    run = subprocess.run([binary(), "--config", str(path), "--check-config"], capture_output=True, text=True, timeout=30,
                         env=clean_environment(), check=False)
    assert run.returncode == 1
    assert "[access] manage = yes: [access] token is needed with it" in run.stderr


# --- saving -------------------------------------------------------------------------------------------

def test_saved_camera_plays_moves_and_survives(make_gateway, make_camera, tmp_path):
    first, second = make_camera(), make_camera()
    gateway = make_gateway(config(tmp_path))
    assert put(gateway, "gate", {"camera_url": first.url(), "title": "大门"}).status == 201
    with watch(gateway, "gate") as viewer:
        viewer.wait_frames(5)
        # another URL, while one watches: as after a reload
        assert put(gateway, "gate", {"camera_url": second.url(), "title": "大门"}).status == 200
        wait_for(lambda: second.plays == 1, 30, "the new URL to be connected")
        wait_for(lambda: first.open_connections() == 0, 30, "the old one to be left")
        viewer.wait_more(10)
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait()
    gateway.check_gone()
    again = make_gateway(config(tmp_path))
    assert listed(again)["gate"]["title"] == "大门"
    with watch(again, "gate") as viewer:
        viewer.wait_frames(2)
    assert delete(again, "gate").status == 204
    assert refused(request(again.flv_port, f"/?cam=gate&token={TOKEN}"), 404, "unknown_camera")
    assert refused(delete(again, "gate"), 404, "unknown_camera")
    assert names_in(tmp_path / "cameras.ini") == []


def test_saves_a_new_one_only(gateway, folder):
    """If-None-Match: * (RFC 9110, 13.1.2)"""
    new = {**BEARER, "If-None-Match": "*"}
    first, second = {"camera_url": "rtsp://10.0.0.9/1"}, {"camera_url": "rtsp://10.0.0.9/2"}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: put(gateway, "once", first, new), range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [412] * 7
    before = (folder / "cameras.ini").read_bytes()
    for value in ("*", "* ", " *"):
        answer = put(gateway, "once", second, {**BEARER, "If-None-Match": value})
        assert refused(answer, 412, "camera_exists", "saved already", "another name")
        assert answer.error["camera"] == "once"
    assert refused(delete(gateway, "once", new), 412, "camera_exists")
    assert refused(put(gateway, "own", first, new), 409, "camera_in_file")
    assert listed(gateway)["once"]["camera_url"] == first["camera_url"]
    assert (folder / "cameras.ini").read_bytes() == before
    # the server gives no entity tags, so none matches
    assert put(gateway, "once", second, {**BEARER, "If-None-Match": '"*", "x"'}).status == 200
    assert listed(gateway)["once"]["camera_url"] == second["camera_url"]
    assert delete(gateway, "once").status == 204
    assert put(gateway, "once", first, new).status == 201
    assert delete(gateway, "once").status == 204


def test_sub_stream(gateway, folder, h264_camera):
    main, sub = h264_camera.url("/main"), h264_camera.url("/sub")
    assert put(gateway, "two", {"camera_url": main, "sub": sub, "sub_type": "rtsp-udp"}).status == 201
    shown = listed(gateway)["two"]
    assert (shown["sub"]["camera_url"], shown["sub"]["cam_type"]) == (sub, "rtsp-udp")
    with watch(gateway, "two&stream=sub") as viewer:
        viewer.wait_frames(2)
        # what GET shows may be sent back as it is
        answer = put(gateway, "two", listed(gateway)["two"])
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["sub"]["state"] == "streaming"
    again = listed(gateway)["two"]
    assert (again["sub"]["camera_url"], again["sub"]["cam_type"]) == (sub, "rtsp-udp")

    secret = sub.replace("rtsp://", f"rtsp://admin:{PASSWORDS[0]}@")
    answer = put(gateway, "two", {"camera_url": main, "sub": {"camera_url": secret}})
    assert answer.status == 200
    shown = json.loads(answer.body)["sub"]
    assert shown["camera_url"] == sub.replace("rtsp://", "rtsp://***@")
    assert refused(put(gateway, "two", {"camera_url": main, "sub": shown}), 400, "bad_camera_url", "sub.camera_url: ***")
    assert refused(put(gateway, "x" * 60, {"camera_url": main, "sub": sub}), 400, "bad_parameter", "59 characters")
    assert 'sub = rtsp://admin:p%40ss%231@' in (folder / "cameras.ini").read_text(encoding="utf-8")
    # it replaces the whole
    assert put(gateway, "two", {"camera_url": main}).status == 200
    assert listed(gateway)["two"]["sub"] is None
    assert refused(request(gateway.flv_port, "/?cam=two&stream=sub", headers=BEARER), 400, "bad_parameter", "no sub-stream")
    assert "sub = " not in (folder / "cameras.ini").read_text(encoding="utf-8")
    assert delete(gateway, "two").status == 204


def test_always_on(make_gateway, make_camera, tmp_path):
    camera = make_camera()
    gateway = make_gateway(config(tmp_path))
    assert put(gateway, "gate", {"camera_url": camera.url(), "always_on": True}).status == 201
    wait_for(lambda: camera.connections > 0, 30, "the camera to be connected without viewers")
    assert delete(gateway, "gate").status == 204
    wait_for(lambda: camera.open_connections() == 0, 60, "the camera to be left")


def test_file_is_the_servers_alone(gateway, folder):
    assert put(gateway, "mode", {"camera_url": "rtsp://10.0.0.9/"}).status == 201
    assert os.stat(folder / "cameras.ini").st_mode & 0o7777 == 0o640
    assert os.listdir(folder) == ["cameras.ini"]


# --- who wins -------------------------------------------------------------------------------------------

def test_the_operators_file_wins(make_gateway, tmp_path):
    own = '[camera "own"]\nurl = rtsp://operator.example/\n'
    gateway = make_gateway(config(tmp_path, own))
    with open(gateway.config_path, encoding="utf-8") as file:
        before = file.read()
    assert refused(put(gateway, "own", {"camera_url": "rtsp://10.0.0.9/"}), 409, "camera_in_file", "operator")
    assert refused(delete(gateway, "own"), 409, "camera_in_file")
    assert put(gateway, "late", {"camera_url": "rtsp://saved.example/"}).status == 201
    with open(gateway.config_path, encoding="utf-8") as file:
        assert file.read() == before

    # later the operator takes the name: the saved one is hidden, but not lost
    gateway.reload(config(tmp_path, own + '[camera "late"]\nurl = rtsp://operator.example/late\n'))
    wait_for(lambda: "1 of its cameras are not served" in gateway.log(), 30, "the warning")
    late = {"name": "late", "title": None, "camera_url": "rtsp://operator.example/late",
            "cam_type": "rtsp-tcp", "always_on": False, "saved": False}
    assert listed(gateway)["late"].items() >= late.items()
    assert refused(put(gateway, "late", {"camera_url": "rtsp://10.0.0.9/"}), 409, "camera_in_file")
    assert put(gateway, "other", {"camera_url": "rtsp://10.0.0.9/"}).status == 201
    assert names_in(tmp_path / "cameras.ini") == ["late", "other"]
    gateway.reload(config(tmp_path, own))
    assert listed(gateway)["late"]["camera_url"] == "rtsp://saved.example/"


# --- what is refused ----------------------------------------------------------------------------------------

def test_odd_names(gateway):
    names = ["", "a%2Fb", "a/b", "a%25b", "a%22b", "a%27b", "a%0Ab", "a%0D%0Ab", "a%00b", "a%5D", "%E5%A4%A7%E9%97%A8",
             "a+b", "a%20b", "x" * 64, "gate.flv", ".", "..", "%2E%2E", "a;b"]
    for name in names:
        assert refused(put(gateway, name, {"camera_url": "rtsp://10.0.0.9/"}), 400, "bad_parameter",
                       "up to 63 letters"), name
        assert refused(delete(gateway, name), 400, "bad_parameter", "up to 63 letters"), name
    raw = exchange(gateway.snapshot_port, "PUT /api/cameras/大门 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                   f"{TOKEN}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert refused(Answer(raw), 400, "bad_parameter", "up to 63 letters")
    for name in ("x" * 63, "a.b_c-D9", "%67ate"):
        assert put(gateway, name, {"camera_url": "rtsp://10.0.0.9/"}).status == 201
        assert delete(gateway, name).status == 204


def test_bodies(gateway):
    url = {"camera_url": "rtsp://10.0.0.9/"}
    assert refused(put(gateway, "x", b""), 400, "bad_request", "JSON object")
    assert refused(request(gateway.snapshot_port, "/api/cameras/x", "PUT", BEARER), 400, "bad_request")
    assert refused(put(gateway, "x", b'{"camera_url": "rtsp://10.0.0.9/"'), 400, "bad_request")
    assert refused(put(gateway, "x", {**url, "port": 1}), 400, "bad_parameter", "port: unknown")
    assert refused(put(gateway, "x", {**url, "cam_type": "udp"}), 400, "bad_parameter", "rtsp-udp")
    assert refused(put(gateway, "x", {"camera_url": "gopher://x"}), 400, "unsupported_scheme", "rtsp")
    assert refused(put(gateway, "x", {**url, "title": 'a\n[camera "y"]'}), 400, "bad_parameter", "title")
    assert refused(put(gateway, "x", {**url, "title": "x" * 17000}), 413, "body_too_large", "16384")
    huge = {**BEARER, "Content-Length": str(1 << 62)}
    assert refused(request(gateway.snapshot_port, "/api/cameras/x", "PUT", huge), 413, "body_too_large")
    chunks = head_bytes("/api/cameras/x", "PUT", {**BEARER, "Transfer-Encoding": "chunked"}) + b"2\r\n{}\r\n0\r\n\r\n"
    assert refused(Answer(exchange(gateway.snapshot_port, chunks)), 400, "bad_request", "Content-Length")
    assert "x" not in listed(gateway)
    biggest = json.dumps({**url, "title": "t"}).encode().ljust(16384)
    assert put(gateway, "x", biggest).status == 201
    assert delete(gateway, "x").status == 204


def test_body_in_pieces(gateway):
    body = json.dumps({"camera_url": "rtsp://10.0.0.9/"}).encode()
    head = head_bytes("/api/cameras/pieces", "PUT", {**BEARER, "Content-Length": str(len(body)), "Connection": None,
                                                     "Expect": "100-continue"})
    with connect(gateway.snapshot_port) as sock:
        sock.sendall(head)
        invitation = b""
        while not invitation.endswith(b"\r\n\r\n"):
            invitation += sock.recv(1)
        assert invitation == b"HTTP/1.1 100 Continue\r\n\r\n"
        for byte in body:
            sock.sendall(bytes([byte]))
        sock.sendall(b"GET /api/cameras HTTP/1.1\r\n\r\n")  # a body ends the connection: this is not read
        answer = Answer(read_all(sock))
    assert answer.status == 201 and answer.headers["connection"] == "close"
    assert b"HTTP/1.1" not in answer.body
    assert delete(gateway, "pieces").status == 204


def test_client_that_leaves(gateway):
    body = json.dumps({"camera_url": "rtsp://10.0.0.9/"}).encode()
    head = head_bytes("/api/cameras/left", "PUT", {**BEARER, "Content-Length": str(len(body))})
    for sent in (head, head + body[:9], head + body):
        with connect(gateway.snapshot_port) as sock:
            sock.sendall(sent)
    wait_for(lambda: "left" in listed(gateway), 30, "what was sent whole to be saved")
    assert delete(gateway, "left").status == 204


def test_nothing_shows_a_password(gateway, folder):
    answers = []
    for password in PASSWORDS:
        url = f"rtsp://admin:{encode(password) if '/' in password else password}@10.0.0.9/a"
        answers += [put(gateway, "secret", {"camera_url": url}),
                    put(gateway, "secret", {"camera_url": url, "cam_type": "rtmp"}),
                    put(gateway, "secret", {"camera_url": "ftp" + url}), put(gateway, "secret", {url: 1}),
                    put(gateway, "own", {"camera_url": url}), put(gateway, "secret", {"camera_url": url + "\n"}),
                    put(gateway, "secret", {"camera_url": url, "title": 5}),
                    put(gateway, "secret", {"camera_url": url, "sub": url + "/2"}),
                    put(gateway, "secret", {"camera_url": url, "sub": url, "sub_type": "rtmp"}),
                    put(gateway, "secret", {"camera_url": url, "sub": {url: 1}}),
                    request(gateway.snapshot_port, "/api/cameras", headers=BEARER)]
    assert {a.status for a in answers} == {200, 201, 400, 409}
    for answer in answers:
        for password in PASSWORDS:
            assert password.encode() not in answer.body and encode(password).encode() not in answer.body
    assert answers[0].status == 201
    assert json.loads(answers[0].body)["camera_url"] == "rtsp://***@10.0.0.9/a"
    assert json.loads(answers[0].body)["saved"] is True
    line = r"camera=secret client=127\.0\.0\.1:\d+: saved by request: rtsp://\*\*\*@10\.0\.0\.9/a, rtsp-tcp"
    sub = r"(replaced) by request: \S+, rtsp-tcp, sub-stream rtsp://\*\*\*@10\.0\.0\.9/a/2, rtsp-tcp"
    wait_for(lambda: re.search(line, gateway.log()) and re.search(sub, gateway.log()), 30, "the lines in the log")
    # what GET shows is no URL to save
    assert refused(put(gateway, "secret", {"camera_url": "rtsp://***@10.0.0.9/a"}), 400, "bad_camera_url", "***")
    assert delete(gateway, "secret").status == 204
    assert "secret" not in names_in(folder / "cameras.ini")


def test_list_of_networks_holds(make_gateway, make_camera, tmp_path):
    camera = make_camera()
    gateway = make_gateway(config(tmp_path, access="manage = yes\ncameras = 10.0.0.0/8\n"))
    assert refused(put(gateway, "gate", {"camera_url": camera.url()}), 403, "camera_not_allowed", "this host")
    # a name that leads elsewhere is found out when it is looked up
    url = camera.url().replace("127.0.0.1", "localhost")
    assert put(gateway, "gate", {"camera_url": url}).status == 201
    assert refused(request(gateway.flv_port, f"/?cam=gate&token={TOKEN}"), 403, "camera_not_allowed")
    assert camera.connections == 0
    # and the list may change after a camera was saved
    gateway.reload(config(tmp_path, access="manage = yes\ncameras = named\n"))
    with watch(gateway, "gate") as viewer:
        viewer.wait_frames(2)


def test_viewers_do_not_follow_to_an_address_that_is_not_allowed(make_gateway, make_camera, tmp_path):
    """They stay at the old one, whose session goes on; log and API say why."""
    old, new = make_camera(), make_camera()
    gateway = make_gateway(config(tmp_path, access="manage = yes\ncameras = 127.0.0.0/8\n"))

    def moving():
        answer = json.loads(request(gateway.snapshot_port, "/api/streams", headers=BEARER).body)
        return [stream["moving"] for stream in answer["streams"] if stream["camera_url"] == old.url()]
    assert put(gateway, "gate", {"camera_url": old.url()}).status == 201
    with watch(gateway, "gate") as viewer:
        viewer.wait_frames(5)
        gateway.reload(config(tmp_path, access="manage = yes\ncameras = 10.0.0.0/8\n"))
        assert put(gateway, "gate", {"camera_url": new.url().replace("127.0.0.1", "localhost")}).status == 200
        wait_for(lambda: moving() == ["camera_not_allowed"], 30, moving)
        assert "the new URL fails (camera_not_allowed)" in gateway.log()
        viewer.wait_more(25)
    assert (old.plays, new.connections) == (1, 0)


# --- many, and the disk -----------------------------------------------------------------------------------

def test_many_at_once(gateway, folder):
    def save(i):
        return put(gateway, f"many-{i % 20}", {"camera_url": f"rtsp://10.0.0.9/{i}"}, timeout=60).status

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(save, range(60)))
    assert sorted(set(statuses)) == [200, 201] and statuses.count(201) == 20
    expected = {f"many-{i}" for i in range(20)}
    assert expected <= set(listed(gateway)) and expected <= set(names_in(folder / "cameras.ini"))
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        gone = list(pool.map(lambda i: delete(gateway, f"many-{i % 20}").status, range(40)))
    assert sorted(gone) == [204] * 20 + [404] * 20
    assert not expected & set(listed(gateway)) and not expected & set(names_in(folder / "cameras.ini"))


def test_bound(make_gateway, tmp_path):
    with open(tmp_path / "cameras.ini", "w", encoding="utf-8") as file:
        file.writelines(f'[camera "c{i}"]\nurl = rtsp://10.0.0.9/{i}\n' for i in range(1024))
    gateway = make_gateway(config(tmp_path))
    body = {"camera_url": "rtsp://10.0.0.9/"}
    assert refused(put(gateway, "more", body), 507, "cannot_save", "1024 cameras")
    assert put(gateway, "c7", body).status == 200
    assert delete(gateway, "c8").status == 204
    assert put(gateway, "more", body).status == 201
    assert len(listed(gateway)) == 1024


def test_killed_between_write_and_rename(make_gateway, tmp_path):
    gateway = make_gateway(config(tmp_path))
    assert put(gateway, "old", {"camera_url": "rtsp://10.0.0.9/"}).status == 201
    gateway.stop()
    doomed = make_gateway(config(tmp_path), prefix=[sys.executable, refuse_syscall.__file__, "--kill", str(NR_RENAME)])
    with connect(doomed.snapshot_port) as sock:
        body = b'{"camera_url": "rtsp://10.0.0.9/new"}'
        sock.sendall(head_bytes("/api/cameras/new", "PUT", {**BEARER, "Content-Length": str(len(body))}) + body)
        assert read_all(sock) == b""
    assert doomed.process.wait(30) == -signal.SIGSYS
    doomed.check_gone()
    assert os.path.exists(tmp_path / "cameras.ini.new")
    again = make_gateway(config(tmp_path))
    assert set(listed(again)) == {"old"}
    assert put(again, "new", {"camera_url": "rtsp://10.0.0.9/"}).status == 201
    assert names_in(tmp_path / "cameras.ini") == ["old", "new"]
    assert not os.path.exists(tmp_path / "cameras.ini.new")


def test_killed_at_any_time(make_gateway, tmp_path):
    """What was answered is there afterwards, whenever the master is killed."""
    saved = 0
    for _ in range(3):
        gateway = make_gateway(config(tmp_path))
        assert {f"n{i}" for i in range(saved)} <= set(listed(gateway))
        killer = subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {gateway.pid}"])
        try:
            while put(gateway, f"n{saved}", {"camera_url": "rtsp://10.0.0.9/"}).status in (200, 201):
                saved += 1
        except (AssertionError, OSError):
            pass  # it is dead
        killer.wait(30)
        gateway.process.wait(30)
        gateway.check_gone()
    gateway = make_gateway(config(tmp_path))
    assert {f"n{i}" for i in range(saved)} <= set(listed(gateway))


def test_faulty_file_is_not_overwritten(make_gateway, tmp_path):
    gateway = make_gateway(config(tmp_path))
    assert put(gateway, "gate", {"camera_url": "rtsp://10.0.0.9/"}).status == 201
    with open(tmp_path / "cameras.ini", "a", encoding="utf-8") as file:
        file.write('[camera "mine"]\nurl = rtsp://10.0.0.9/\ncolour = red\n')
    answer = put(gateway, "gate", {"camera_url": "rtsp://10.0.0.8/"})
    assert refused(answer, 507, "cannot_save", "cameras.ini:7: ", "colour: unknown key", "nothing has changed")
    assert listed(gateway)["gate"]["camera_url"] == "rtsp://10.0.0.9/"
    gateway.reload(config(tmp_path), word="colour: unknown key")
    text = (tmp_path / "cameras.ini").read_text()
    (tmp_path / "cameras.ini").write_text(text.replace("colour = red\n", "title = mine\n"))
    # an edit without a reload is not lost, either
    assert put(gateway, "gate", {"camera_url": "rtsp://10.0.0.8/"}).status == 200
    assert listed(gateway)["mine"]["title"] == "mine"


def test_no_folder(make_gateway, tmp_path):
    gateway = make_gateway(config(tmp_path / "none"))
    warning = r"warn master.*no camera can be saved in the folder of .*/none/cameras\.ini: No such file or directory"
    wait_for(lambda: re.search(warning, gateway.log()), 30, "the warning")
    answer = put(gateway, "gate", {"camera_url": "rtsp://10.0.0.9/"})
    assert refused(answer, 507, "cannot_save", "none/cameras.ini: cannot create it: No such file or directory")
    assert listed(gateway) == {}
    metrics = request(gateway.snapshot_port, "/metrics", headers=BEARER).body.decode()
    assert 'cam_httpflv_changed_cameras_total{result="failed"} 1\n' in metrics
    assert 'cam_httpflv_refused_requests_total{code="cannot_save"} 1\n' in metrics


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk: needs root")
@pytest.mark.parametrize("options, reason", [("size=8k", "No space left on device"), ("ro", "Read-only file system")])
def test_full_and_read_only_disks(make_gateway, tmp_path, options, reason):
    disk = tmp_path / "disk"
    disk.mkdir()
    script = f'mount -t tmpfs -o {options} none "{disk}" && exec "$@"'
    gateway = make_gateway(config(disk), prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    saved = set()
    for i in range(40):
        answer = put(gateway, f"c{i}", {"camera_url": f"rtsp://10.0.0.9/{'x' * 900}", "title": "t" * 100})
        if answer.status != 201:
            break
        saved.add(f"c{i}")
    assert refused(answer, 507, "cannot_save", reason, "nothing has changed")
    assert set(listed(gateway)) == saved  # and they are still in the file:
    gateway.reload(config(disk))
    assert set(listed(gateway)) == saved
    if saved:
        assert delete(gateway, "c0").status == 204
