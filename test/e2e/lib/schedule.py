"""How pytest-xdist deals the tests out to its processes."""
from xdist.scheduler import LoadScopeScheduling

# These files take longest.  They begin first, so that no process is left with one of them at the end.  Those that need
# the sample cameras come when scripts/test has encoded their loops.  Chromium keeps a core busy: its files do not follow
# each other.
FIRST = ("test_viewers", "test_lying_workers", "test_players", "test_clocks", "test_access_units", "test_page",
         "test_camera_sound", "test_rtsp_dialogue", "test_wall", "test_machinery", "test_reload", "test_snapshot",
         "test_wall_server", "test_processes", "test_snapshot_polling", "test_rtsp_gateway", "test_control_room",
         "test_starting_points", "test_codecs", "test_faults")


def longest_first(order):
    """The names of all files in the order in which processes that run at the same time take them."""
    return [*FIRST, *(name for name in order if name not in FIRST)]


class Schedule(LoadScopeScheduling):
    """A file's tests share cameras and gateways: one process runs them, in their order."""

    def _split_scope(self, nodeid):
        return nodeid.partition("::")[0]
