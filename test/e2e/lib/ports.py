"""Ports for servers that are told theirs."""
import os
import random
import socket

FIRST, OF_A_PROCESS, PROCESSES = 12000, 2000, 10


def free_port():
    """One below those that the kernel gives to connections, and each process of pytest-xdist has its own range: so
    nobody takes it before the server has it, or while the server is down.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PROCESSES
    first = FIRST + process * OF_A_PROCESS
    while True:
        port = random.randrange(first, first + OF_A_PROCESS)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:  # taken
                continue
