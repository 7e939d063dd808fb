"""Starting and ending processes, and what /proc says about them."""
import ctypes
import glob
import os
import re
import signal
import stat as permissions

PR_SET_PDEATHSIG = 1


def die_with_parent():
    """For preexec_fn: SIGTERM when the test run is gone, however it went."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process, reader=None):
    """Kill a child that still runs, wait for it and for the thread that reads from it, close its pipes."""
    if process.poll() is None:
        process.kill()
    process.wait()
    if reader is not None:
        reader.join()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def stat(pid):
    """(state, ppid) or None when there is no such process."""
    text = _read(pid, "stat").decode(errors="replace")
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def started(pid):
    """Clock ticks since boot; infinity when there is no such process."""
    text = _read(pid, "stat").decode(errors="replace")
    return int(text.rpartition(")")[2].split()[19]) if text else float("inf")


def alive(pid):
    """Running: neither gone nor a zombie."""
    found = stat(pid)
    return found is not None and found[0] not in "ZX"


def _forked(pid):
    """Child processes, zombies too.  Each thread has its own list."""
    result = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            result += map(int, _read(pid, f"task/{task}/children").split())
    except FileNotFoundError:
        pass
    return sorted(result)


def children(pid):
    """Living child processes, in order of their pids."""
    return [child for child in _forked(pid) if alive(child)]


def zombies(pid):
    return [child for child in _forked(pid) if (stat(child) or " ")[0] == "Z"]


def command_line(pid):
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def environment(pid):
    return _read(pid, "environ")


def open_files(pid):
    """descriptor -> what it points to."""
    result = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                result[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                pass
    except OSError:
        pass
    return result


def sockets(pid):
    return [target for target in open_files(pid).values() if target.startswith("socket:")]


def virtual_bytes(pid):
    """What RLIMIT_AS limits."""
    return int(_read(pid, "statm").split()[0]) * os.sysconf("SC_PAGE_SIZE")


def pss_bytes(pid):
    for line in _read(pid, "smaps_rollup").decode().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def anonymous_bytes(pid):
    """Its own memory, whoever shares the pages since a fork."""
    return next((int(line.split()[1]) * 1024 for line in _read(pid, "status").decode(errors="replace").splitlines()
                 if line.startswith("RssAnon:")), 0)


def private_bytes(pid):
    total = 0
    for line in _read(pid, "smaps_rollup").decode().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pid):
    text = _read(pid, "stat").decode(errors="replace")
    if not text:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_seconds(pid):
    """As cpu_seconds, but in ns instead of ticks of 10 ms; threads that have ended are left out."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except OSError:
            pass  # it ended
    return total / 1e9


def wake_ups(pid):
    """How often its threads have gone to sleep."""
    texts = [_read(pid, f"task/{task}/status") for task in os.listdir(f"/proc/{pid}/task")]
    return sum(int(n) for text in texts for n in re.findall(rb"^voluntary_ctxt_switches:\s+(\d+)", text, re.M))


def reachable_by_others(path):
    """May any user start the program?"""
    while True:
        if not os.stat(path).st_mode & permissions.S_IXOTH:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)
