"""Fixtures of the end-to-end tests: the real binaries, cameras, viewers.  test/README.md says how they are built."""
import os
import sys

import pytest

from lib import fake_rtsp
from lib.cameras import SampleCameras
from lib.gateway import Gateway, binary

# In the order things break: basics, limits, faults.
ORDER = ("test_flv_reader", "test_docs", "test_command_line", "test_http", "test_stream", "test_viewers",
         "test_players", "test_sample_cameras", "test_processes", "test_limits", "test_access", "test_sandbox",
         "test_operations", "test_service", "test_cluster", "test_kubernetes", "test_rtsp_dialogue", "test_rtsp_media",
         "test_rtsp_errors", "test_rtsp_login", "test_rtsp_gateway", "test_flv_sources", "test_camera_errors",
         "test_faults", "test_page")

# Short times, so that faults are over in seconds.
QUICK = """
[camera]
connect_timeout_ms = 4000
stall_timeout_ms = 1500
idle_timeout_ms = 1000
reconnect_window_ms = 20000
"""


# Many threads of ours read sockets: let the one that judges have its turn soon.
sys.setswitchinterval(0.0005)


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.module.__name__.rpartition(".")[2]
        return ORDER.index(name) if name in ORDER else len(ORDER)
    items.sort(key=place)


def pytest_configure(config):
    if not config.option.collectonly and not os.path.exists(binary()):
        raise pytest.UsageError(f"{binary()} is missing: run `make` first")


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
def gateway(make_gateway):
    """A gateway of the test's own, with short times."""
    return make_gateway(QUICK)


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory):
    """One gateway for a module whose tests leave it as they found it."""
    with Gateway(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def sample_cameras():
    """All 60 sample cameras; the first run encodes their loops."""
    with SampleCameras() as cameras:
        yield cameras


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
