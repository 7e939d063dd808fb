"""How pytest-xdist deals the tests out to its processes."""
from xdist.scheduler import LoadScopeScheduling


class Schedule(LoadScopeScheduling):
    """A file's tests share cameras and gateways: one process runs them, in their order."""

    def _split_scope(self, nodeid):
        return nodeid.partition("::")[0]
