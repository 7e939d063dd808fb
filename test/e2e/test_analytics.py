"""docs/analytics.md: its programs run as they are printed."""
import os
import re
import subprocess
import sys

import cv2
import pytest

from conftest import QUICK
from lib.gateway import ROOT
from lib.processes import end
from lib.snapshot import jpeg_size

with open(os.path.join(ROOT, "docs/analytics.md"), encoding="utf-8") as page:
    PROGRAMS = re.findall(r"^## ([^\n]+)\n|^```(sh|python)\n(.*?)^```", page.read(), re.M | re.S)


def programs():
    """{"heading language": text}"""
    found, heading = {}, ""
    for title, language, text in PROGRAMS:
        heading = title or heading
        if text:
            found[f"{heading} {language}"] = text
    return found


@pytest.fixture
def server(make_gateway, make_camera):
    camera, other = make_camera(), make_camera()
    return make_gateway(QUICK + f'\n[camera "front-door"]\nurl = {camera.url()}\n[camera "yard"]\nurl = {other.url()}\n'
                        '[camera "gone"]\nurl = rtsp://127.0.0.1:1/none\n')


def environment(server):
    return {**os.environ, "GATEWAY": f"http://127.0.0.1:{server.snapshot_port}"}


def run(server, name, directory):
    text = programs()[name]
    command = ["sh", "-c", text] if name.endswith("sh") else [sys.executable, "-c", text]
    return subprocess.run(command, cwd=directory, env=environment(server), stdout=subprocess.PIPE, check=True,
                          timeout=120).stdout.decode()


def lines_of(server, name, count, *arguments):
    """The first lines of a program that runs for ever."""
    program = subprocess.Popen([sys.executable, "-c", programs()[name], *arguments], env=environment(server),
                               stdout=subprocess.PIPE)
    try:
        return [program.stdout.readline().decode().split(maxsplit=1) for _ in range(count)]
    finally:
        end(program)
        program.stdout.close()


def test_every_program_is_tried():
    assert set(programs()) == {"One picture sh", "One picture python", "Every new picture python", "OpenCV python",
                               "A hundred cameras python"}


@pytest.mark.parametrize("language", ["sh", "python"])
def test_one_picture(server, language, tmp_path):
    output = run(server, f"One picture {language}", tmp_path)
    data = (tmp_path / "picture.jpg").read_bytes()
    assert cv2.imread(str(tmp_path / "picture.jpg")).shape[:2] == jpeg_size(data)[::-1]
    if language == "python":
        assert output.split()[1] == "{}x{}".format(*jpeg_size(data))


def test_every_new_picture(server):
    numbers = [int(number) for number, _ in lines_of(server, "Every new picture python", 4)]
    assert numbers == sorted(set(numbers))


def test_opencv(server, tmp_path):
    height, width, depth = eval(run(server, "OpenCV python", tmp_path))  # a tuple
    assert height > 0 and width <= 640 and depth == 3


def test_a_hundred_cameras(server):
    lines = lines_of(server, "A hundred cameras python", 6, "front-door", "gone", "yard")
    assert [camera for camera, _ in lines] == ["front-door", "gone", "yard"] * 2
    for camera, result in lines:
        assert result.strip() == "camera_unreachable" if camera == "gone" else int(result) > 500
