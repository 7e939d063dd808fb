"""Fixtures of the end-to-end tests: the real binaries, cameras, viewers.  test/README.md says how they are built."""
import os
import re
import shutil
import sys

import pytest

from lib import fake_rtsp
from lib.cameras import SampleCameras
from lib.gateway import Gateway, binary

README = os.path.join(os.path.dirname(__file__), "..", "README.md")

# Short times, so that faults are over in seconds.  But longer than a busy machine keeps a camera of ours from sending:
# most tests would take a stall for a loss of pictures.
QUICK = """
[camera]
connect_timeout_ms = 4000
stall_timeout_ms = 4000
idle_timeout_ms = 1000
reconnect_window_ms = 20000
"""


# Many threads of ours read sockets: let the one that judges have its turn soon.
sys.setswitchinterval(0.0005)


def order_of_files():
    """Files run in the order of the table in test/README.md: basics, limits, faults."""
    with open(README, encoding="utf-8") as file:
        return re.findall(r"^\| `(test_\w+)` \|", file.read(), re.M)


def pytest_addoption(parser):
    parser.addoption("--part", choices=("parallel", "alone"),
                     help="only the tests that may run at the same time as others, or only those marked alone")


def pytest_collection_modifyitems(config, items):
    order = order_of_files()
    for item in items:
        name = item.module.__name__.rpartition(".")[2]
        if name not in order:
            raise pytest.UsageError(f"{name} has no row in test/README.md, which is the order of the tests")
    if config.getoption("part") == "parallel":
        from lib.schedule import longest_first
        order = longest_first(order)
    items.sort(key=lambda item: order.index(item.module.__name__.rpartition(".")[2]))
    choose_part(config, items)


def choose_part(config, items):
    part = config.getoption("part")
    if part is None:
        return
    chosen, left_out = [], []
    for item in items:
        alone = item.get_closest_marker("alone") is not None
        (chosen if alone == (part == "alone") else left_out).append(item)
    items[:] = chosen
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from lib.schedule import Schedule
    return Schedule(config, log)


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: judges what other tests at the same time would change")
    if not config.option.collectonly and not os.path.exists(binary()):
        raise pytest.UsageError(f"{binary()} is missing: run `make` first")


@pytest.fixture(autouse=True)
def no_error_in_the_console(request):
    """Whatever a test does to it, a page reports no error."""
    browser = request.getfixturevalue("browser") if "browser" in request.fixturenames else None
    yield
    if browser is not None:
        assert browser.errors() == []


@pytest.fixture
def make_gateway(tmp_path):
    """make_gateway(config, …) starts a gateway; at the end each one is stopped and checked for leftovers."""
    started = []

    def make(*args, **kwargs):
        gateway = Gateway(tmp_path, *args, **kwargs)
        started.append(gateway)
        return gateway

    yield make
    failures = []
    for gateway in started:
        if gateway.process.returncode is None:
            try:
                gateway.stop()
            except AssertionError as failure:
                gateway.kill()
                failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def make_lying_gateway(make_gateway, tmp_path):
    """make_lying_gateway(options of [server]) starts a gateway whose workers lie when their camera's path is
    /lie/MODE (test/tools/lying_worker.c)."""
    def make(server="", rest=QUICK, **kwargs):
        program = shutil.copy(binary(), tmp_path)  # it starts the nursery that lies beside it
        nursery = tmp_path / "cam-httpflv-worker"
        if not nursery.exists():
            nursery.symlink_to(binary("test/lying_worker"))
        return make_gateway("[server]\nspare_workers = 0\n" + server + rest, program=program, **kwargs)
    return make


@pytest.fixture
def gateway(make_gateway):
    """A gateway of the test's own, with short times."""
    return make_gateway(QUICK)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory):
    """One gateway for a module whose tests leave it as they found it."""
    with Gateway(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """One gateway for a module, which waits longer: decoding is slow where tests of other programs run too."""
    config = QUICK.replace("connect_timeout_ms = 4000", "connect_timeout_ms = 20000")
    with Gateway(tmp_path_factory.mktemp("gateway"), config) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def sample_cameras():
    """All 60 sample cameras; the first run encodes their loops."""
    with SampleCameras() as cameras:
        yield cameras


@pytest.fixture(scope="module")
def busy(patient, sample_cameras):
    """The patient gateway, and the URL of a camera of 720p H.264 that a viewer keeps running."""
    url = sample_cameras.rtsp_url("720p-H264-AAC")
    with patient.view(url) as viewer:
        viewer.wait_frames(5)
        yield patient, url


@pytest.fixture
def make_camera():
    """make_camera(…) starts a fake RTSP camera, H.264 and G.711 unless told otherwise."""
    started = []

    def make(*args, **kwargs):
        if not args and "video" not in kwargs:
            kwargs["video"] = fake_rtsp.media()
        camera = fake_rtsp.FakeCamera(*args, **kwargs)
        started.append(camera)
        return camera

    yield make
    for camera in started:
        camera.close()


@pytest.fixture
def camera(make_camera):
    return make_camera()


@pytest.fixture(scope="module")
def h264_camera():
    with fake_rtsp.FakeCamera(fake_rtsp.media("h264")) as camera:
        yield camera


@pytest.fixture(scope="module")
def hevc_camera():
    with fake_rtsp.FakeCamera(fake_rtsp.media("hevc")) as camera:
        yield camera
