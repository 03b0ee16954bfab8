"""The machine: its CPU, the CPUs that may be used, the measured peak, the state of the repository."""

import json
import os
import platform
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PEAK_PROGRAM = REPOSITORY / "build/release/bench/bench_fma_peak"
PEAK_COMMAND = "cmake --preset release && cmake --build --preset release --target bench_fma_peak"
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve")
# They choose a kernel of OpenBLAS by hand, most often a slow one.
OPENBLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def settle_environment(threads: int) -> list[str]:
    """Sets what the libraries read when they are imported; returns notes for the header.

    The process and all that it starts may only use as many CPUs as there are threads. That limits JAX too,
    which has no function for it, and every pool that would otherwise take all CPUs.
    """
    notes = []
    for variable in OPENBLAS_VARIABLES:
        if os.environ.pop(variable, None) is not None:
            notes.append(f"{variable} was set, which slows OpenBLAS: removed for this run")
    notes += [f"{name}={value} is set" for name, value in os.environ.items() if name.startswith("ATTENTION_")]
    os.sched_setaffinity(0, chosen_cpus(threads))
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC", "PJRT_NPROC"):
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    return notes


def chosen_cpus(threads: int) -> list[int]:
    """As many CPUs as there are threads, each on a core of its own as long as there are cores."""
    first_of_cores, others, cores = [], [], set()
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = siblings.read_text() if siblings.exists() else str(cpu)
        (others if core in cores else first_of_cores).append(cpu)
        cores.add(core)
    cpus = first_of_cores + others
    if threads > len(cpus):
        raise SystemExit(f"compare.py: {threads} threads asked for, but only {len(cpus)} CPUs may be used")
    return cpus[:threads]


def cpu_name_and_flags() -> tuple[str, list[str]]:
    """The CPU's model and those of its instruction sets that matter here."""
    text = Path("/proc/cpuinfo").read_text()
    lines = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in lines}
    name = fields.get("model name", platform.machine())
    flags = fields.get("flags", fields.get("Features", "")).split()
    return name, [flag for flag in INSTRUCTION_SETS if flag in flags]


def commit() -> str:
    """The commit of the work tree, with a note if there are changes on top."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", REPOSITORY, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no") != ""
        return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def measured_peak(threads: int, fma_only: bool) -> dict | None:
    """What bench_fma_peak prints, or None if it has not been built."""
    if not PEAK_PROGRAM.exists():
        return None
    command = [PEAK_PROGRAM, str(threads)] + (["--fma-only"] if fma_only else [])
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
