"""Cameras in a process of their own, so that what they cost is not the bench's."""
import multiprocessing
import signal


def _serve(serve, *args):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends it
    serve(*args)


class LightProcess:
    """A context; its __enter__ calls start_process(serve, …), which runs serve(…) until the context ends."""

    def start_process(self, serve, *args):
        self.process = multiprocessing.Process(target=_serve, args=(serve, *args), daemon=True)
        self.process.start()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()
