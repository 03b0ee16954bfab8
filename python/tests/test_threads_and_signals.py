"""A long call leaves other Python threads alone, and Ctrl-C ends it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT
from typing import Any

import numpy as np
import pytest

import attention_cpp
from attention_cpp import (
    Generator,
    MultiHeadAttention,
    MultiheadAttention,
    ScaledDotProductAttention,
    experiments,
)

from checks import same_bits
from reference import Array

SECONDS_TO_END = 1.0
SECONDS_TO_WAIT = 6.0


def ones(*shape: int) -> Array:
    return np.ones(shape, np.float32)


def long_sdpa() -> Any:
    x = ones(1, 1, 6000, 64)
    return attention_cpp.scaled_dot_product_attention(x, x, x, threads=1)


def long_module() -> Any:
    x = ones(1, 3000, 64)
    return ScaledDotProductAttention()(x, x, x)


def long_multi_head() -> Any:
    x = ones(1, 2000, 256)
    return MultiHeadAttention(256, 8, generator=Generator(1))(x, x, x)


def long_torch_twin() -> Any:
    x = ones(1, 2000, 256)
    return MultiheadAttention(256, 8, batch_first=True, generator=Generator(1))(x, x, x, need_weights=False)


def long_experiment() -> Any:
    return experiments.run("pattern", seeds=20_000, threads=1)


CALLS = [long_sdpa, long_module, long_multi_head, long_torch_twin, long_experiment]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_other_threads_run_during_a_call(call: Callable[[], Any]) -> None:
    """The GIL is released: a thread that wakes every millisecond goes on doing so."""
    wakes: list[float] = []
    done = threading.Event()

    def wake() -> None:
        while not done.is_set():
            wakes.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=wake)
    thread.start()
    try:
        begin = time.monotonic()
        call()
        end = time.monotonic()
    finally:
        done.set()
        thread.join()
    inside = [at for at in wakes if begin < at < end]
    assert end - begin > 0.02, "the call is too short to tell"
    assert len(inside) >= 0.1 * (end - begin) / 0.001, f"{len(inside)} wakes in {end - begin:.3f} s"


def test_calls_at_the_same_time() -> None:
    """Calls from several Python threads give the bits of calls one after the other."""
    random = np.random.default_rng(1)
    x = [random.standard_normal((2, 2, 100, 32)).astype(np.float32) for _ in range(8)]
    expected = [attention_cpp.scaled_dot_product_attention(a, a, a, is_causal=True) for a in x]
    found: dict[int, list[Any]] = {}

    def attend(n: int) -> None:
        found[n] = [
            attention_cpp.scaled_dot_product_attention(x[n], x[n], x[n], is_causal=True) for _ in range(20)
        ]

    threads = [threading.Thread(target=attend, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same_bits(result, expected[n]) for n in range(8) for result in found[n])


@pytest.mark.parametrize("threads", [0, -1])
def test_a_number_of_threads_that_makes_no_sense(threads: int) -> None:
    before = attention_cpp.get_num_threads()
    with pytest.raises(ValueError, match=f"threads must be 1 or more; found {threads}"):
        attention_cpp.set_num_threads(threads)
    assert attention_cpp.get_num_threads() == before


@pytest.mark.parametrize("threads", [1.5, "two", None], ids=repr)
def test_a_number_of_threads_of_another_type(threads: Any) -> None:
    with pytest.raises(TypeError, match="threads"):
        attention_cpp.set_num_threads(threads)


def test_info() -> None:
    info = attention_cpp.info()
    assert info.keys() == {"version", "cpu", "isa", "threads"}
    assert info["version"] == attention_cpp.__version__
    assert info["threads"] == attention_cpp.get_num_threads() >= 1
    assert info["cpu"] and info["isa"]


# Each of these would run for longer than the test waits, and takes less than a gigabyte.
ENDLESS = {
    "sdpa, one thread": "f(*3 * [x(1, 1, 100_000, 64)], threads=1)",
    "sdpa, two threads": "f(*3 * [x(1, 1, 150_000, 64)], threads=2)",
    "sdpa, reference path": "f(*3 * [x(1, 1, 30_000, 64)], path='reference')",
    "sdpa of float64": "f(*3 * [x(1, 1, 30_000, 64).astype('f8')])",
    "sdpa of five dimensions": (
        "f(*2 * [np.broadcast_to(x(1), (10**5, 1, 1, 128, 64))], "
        "np.broadcast_to(x(1), (10**5, 1, 1, 128, 1)))"
    ),
    "ScaledDotProductAttention": "a.ScaledDotProductAttention()(*3 * [x(1, 9_000, 1024)])",
    "MultiHeadAttention": "a.MultiHeadAttention(2048, 2)(*3 * [x(1, 10_000, 2048)])",
    "MultiheadAttention": (
        "a.MultiheadAttention(512, 8, batch_first=True)(*3 * [x(2, 50_000, 512)], need_weights=False)"
    ),
    "MultiheadAttention with masks": (
        "a.MultiheadAttention(16, 8, batch_first=True)(*3 * [x(30, 4_000, 16)], np.zeros((30, 4_000), bool), "
        "need_weights=False, attn_mask=np.zeros((4_000, 4_000), bool))"
    ),
    "an experiment": "a.experiments.run('pattern', seeds=10**8)",
    "an experiment on many tokens": "a.experiments.run(np.random.rand(256, 64).astype('f4'), seeds=10**5)",
}

PROGRAM = """
import sys, time
import numpy as np
import attention_cpp as a

f = a.scaled_dot_product_attention


def x(*shape):
    return np.ones(shape, np.float32)


try:
    print("begins", flush=True)
    {call}
    print("has ended by itself", flush=True)
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    # It all goes on working.
    small = f(x(1, 1, 3, 4), x(1, 1, 3, 4), x(1, 1, 3, 4))
    print("goes on", float(small.sum()), flush=True)
"""


@pytest.mark.parametrize("name", ENDLESS)
def test_ctrl_c_ends_a_long_call(name: str, tmp_path: Path) -> None:
    """KeyboardInterrupt within a second of SIGINT, and the next call works."""
    script = tmp_path / "long.py"
    script.write_text(PROGRAM.replace("{call}", ENDLESS[name]))
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(0.5)
        assert process.poll() is None, "the call is too short to tell"
        sent = time.monotonic()
        process.send_signal(SIGINT)
        try:
            output, _ = process.communicate(timeout=SECONDS_TO_WAIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running {SECONDS_TO_WAIT} s after Ctrl-C")
    finally:
        process.kill()
        process.communicate()
    first, *rest = output.splitlines()
    assert first.startswith("interrupted "), output
    took = float(first.split()[1]) - sent  # one clock for all processes
    assert took < SECONDS_TO_END, f"Ctrl-C took {took:.2f} s"
    assert rest == ["goes on 12.0"]
