"""The peak memory that one call needs, measured in a process of its own, which compare.py starts.

    python peak_memory.py NAME THREADS L full|causal      prints MiB
"""

import re
import subprocess
import sys
from pathlib import Path

import contenders
from problems import Problem

HEADS = 1
# The first for all contenders, the second for this library alone: a matrix of weights would take 16 GiB there.
LENGTHS = (8192, 65536)
SIZE = 64


def measured_growth(name: str, threads: int, length: int, mode: str) -> float | None:
    """MiB that the peak of a fresh process grows by in the first call at this length; None if it fails."""
    command = [sys.executable, __file__, name, str(threads), str(length), mode]
    done = subprocess.run(command, capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def status_mib(field: str) -> float:
    """One field of this process's memory, in MiB.

    Not getrusage's ru_maxrss: that keeps the peak of the process that this one was started from.
    """
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", text).group(1)) / 1024


def growth(name: str, threads: int, length: int, mode: str) -> float:
    """The growth in this process: the output is part of it; inputs, model and idle threads are not."""
    contender = next(kind for kind in contenders.ALL if kind.name == name)(threads)
    causal = mode == "causal"
    small = Problem("memory", HEADS, 64, 64, SIZE, causal)
    large = Problem("memory", HEADS, length, length, SIZE, causal)
    # The small call starts the threads and loads the code that the large one needs.
    small_call = contender.prepare(small.arrays(), causal)
    arrays = large.arrays()
    large_call = contender.prepare(arrays, causal)
    with contender.around():
        small_call()
        Path("/proc/self/clear_refs").write_text("5")  # Sets the peak back to what is in use now.
        before = status_mib("VmRSS")
        result = large_call()
        after = status_mib("VmHWM")
    del result
    return after - before


if __name__ == "__main__":
    print(growth(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
