"""Ports for servers that are told theirs."""
import itertools
import os
import random
import socket

OF_A_PROCESS, PROCESSES = 2000, 10
FIRST = 12000 + OF_A_PROCESS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PROCESSES)
NUMBERS = itertools.count(random.randrange(OF_A_PROCESS))


def free_port():
    """One below those that the kernel gives to connections, and each process of pytest-xdist has its own range: so
    nobody takes it before the server has it, or while the server is down.  The same port comes again after
    OF_A_PROCESS others.
    """
    while True:
        port = FIRST + next(NUMBERS) % OF_A_PROCESS
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:  # taken
                continue
