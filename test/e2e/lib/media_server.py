"""What servers of others, and the publishers that send to them, have in common: processes and a folder that end with them."""
import socket
import subprocess
import tempfile

from . import processes


class MediaServer:
    """with Server() as server: …"""

    def __init__(self, name):
        self._name = name
        self._folder = tempfile.TemporaryDirectory(prefix=f"{name}-")
        self._children = []

    def _start(self, command):
        """The first one is the server."""
        self._children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, cwd=self._folder.name,
                                               preexec_fn=processes.die_with_parent))
        return self._children[-1]

    def _listens(self, port):
        assert self._children[0].poll() is None, f"{self._name} ended"
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self._children):
            processes.end(child)
        self._folder.cleanup()
