"""A TCP server for tests: the common part of fake cameras and other fake servers."""
import socket
import threading

from .ports import free_port
from .wait import wait_for


class Listener:
    """A subclass has serve(); its __init__ calls this one's last, for connections may come from then on."""

    def __init__(self, address="127.0.0.1", port=0):
        self.port = port
        self.connections = 0  # accepted so far
        self._address = address
        self._open, self._lock = set(), threading.Lock()
        self._socket = None
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def listen(self):
        """Take connections; after close() again, at the same port."""
        def bind():
            try:
                self._socket = socket.create_server((self._address, self.port or free_port()), backlog=64)
            except OSError:
                return False
            return True
        wait_for(bind, 10, f"port {self.port} to be free")
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def close(self):
        """Refuse new connections, cut those that are open."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        self.drop()

    def drop(self):
        """Cut every open connection."""
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def open_connections(self):
        with self._lock:
            return len(self._open)

    def serve(self, sock):
        """A connection, in a thread of its own; it is closed afterwards.  OSError: it was cut, which is no failure."""
        raise NotImplementedError

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            with self._lock:
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            self.serve(sock)
        except OSError:
            pass
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()
