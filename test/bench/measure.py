"""What the benchmarks share: quantiles, CPU of processes, a network that loses packets, tables."""
import ctypes
import json
import os
import subprocess
import sys
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))

from lib import processes  # noqa: E402

QUICK_IDLE = "[camera]\nidle_timeout_ms = 100\n"
CLONE_NEWNET = 0x40000000


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class CpuSampler:
    """CPU seconds of some processes over time."""

    def __init__(self, pids):
        self.pids, self.samples = pids, []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            self.samples.append((time.monotonic(), sum(map(processes.cpu_seconds, self.pids))))
            if self.ended.wait(0.25):
                return

    def between(self, start, end):
        """CPU seconds per second in that time."""
        inside = [s for s in self.samples if start <= s[0] <= end]
        return (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])

    def stop(self):
        self.ended.set()
        self.thread.join()


def enter_own_network():
    """This process, and what it starts, in a network namespace of its own: loopback alone."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: a network namespace needs root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def lose_udp(percent):
    """Drop so many of the UDP packets of this network from now on, in place of what was dropped before."""
    # Dropped on arrival: the sender is told nothing.  tc's netem needs a kernel module, this does not.
    subprocess.run(["iptables", "-F", "INPUT"], check=True)
    if percent > 0:
        subprocess.run(["iptables", "-A", "INPUT", "-p", "udp", "-m", "statistic", "--mode", "random",
                        "--probability", str(percent / 100), "-j", "DROP"], check=True)


def build_if_missing(*bench_programs):
    """For a clean clone; `make bench` has built everything.  bench_programs: of build/release/bench/ that the caller runs."""
    mode = os.environ.get("CAM_HTTPFLV_BUILD", "release")
    if not os.path.exists(os.path.join(ROOT, "build", mode, "cam-httpflv-worker")):
        subprocess.run(["make", "-j2", f"BUILD={mode}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(os.path.join(ROOT, "build", "release", "test", "sample-picture")):
        subprocess.run(["make", "-j2", "sample-cameras"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for name in bench_programs:
        if not os.path.exists(os.path.join(ROOT, "build", "release", "bench", name)):
            subprocess.run(["make", f"build/release/bench/{name}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def table(head, rows):
    """A Markdown table."""
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in (head, ["---"] * len(head), *rows))


def write(name, result, text):
    """To stdout, and build/bench/NAME.md and .json."""
    out = os.path.join(ROOT, "build", "bench")
    os.makedirs(out, exist_ok=True)
    print(text + "\n", flush=True)
    with open(os.path.join(out, name + ".md"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
    with open(os.path.join(out, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
