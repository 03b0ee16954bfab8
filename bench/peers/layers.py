"""Times what surrounds attention beside PyTorch: linear, the gradients, and MultiheadAttention with its projections.

linear, the gradients and training of this library are timed by the programs bench_linear, bench_backward and
bench_training, one process a measurement, since they are not in the Python package. PyTorch has two linears: torch.nn.functional.linear, which takes
MKL, and oneDNN's; its gradients are those of its fused CPU attention.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from collections.abc import Callable

import numpy as np

import machine

LINEAR_PROGRAM = machine.REPOSITORY / "build/release/bench/bench_linear"
BACKWARD_PROGRAM = machine.REPOSITORY / "build/release/bench/bench_backward"
# L, D, causal; H 8.
BACKWARD_SHAPES = [(L, D, causal) for causal in (False, True) for D in (64, 128) for L in (128, 512, 1024, 2048)]
BACKWARD_BAR = 1.0
TRAINING_PROGRAM = machine.REPOSITORY / "build/release/bench/bench_training"
# E, H, L, B, and what our time is to be ahead by.
TRAINING_SHAPES = [((256, 8, 256, 16), 1.0), ((512, 8, 256, 16), 1.0), ((32, 4, 16, 32), 3.0)]
# Rows, inputs, outputs.
LINEAR_SHAPES = [
    (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (64, 768, 3072), (512, 768, 3072), (2048, 768, 3072)
]
LINEAR_BAR = 0.95
MHA_BAR = 1.0
POINT = 0.01
# B, L, E, H.
MHA_SHAPE = (4, 512, 768, 12)
TOLERANCE = 1e-4
REST_SECONDS = 0.02

Seconds = Callable[[], float]


def timed(threads: int, rounds: int, seconds: float) -> list[dict]:
    """All layers for which there is a peer; empty without PyTorch."""
    try:
        import torch
    except ImportError:
        return []
    torch.set_num_threads(threads)
    results = []
    if BACKWARD_PROGRAM.exists():
        results += [timed_backward(shape, threads, rounds, seconds) for shape in BACKWARD_SHAPES]
    if TRAINING_PROGRAM.exists():
        results += [timed_training(shape, bar, threads, rounds, seconds) for shape, bar in TRAINING_SHAPES]
    with torch.inference_mode():
        if LINEAR_PROGRAM.exists():
            results += [timed_linear(shape, threads, rounds, seconds) for shape in LINEAR_SHAPES]
        mha = timed_mha(threads, rounds, seconds)
    return results + ([mha] if mha else [])


def timed_linear(shape: tuple[int, int, int], threads: int, rounds: int, seconds: float) -> dict:
    """One linear map without a bias."""
    import torch

    rows, inputs, outputs = shape
    x, weight = torch.randn(rows, inputs), torch.randn(outputs, inputs)
    onednn = torch.ops.mkldnn._linear_pointwise
    command = [LINEAR_PROGRAM, *map(str, (*shape, threads, seconds))]

    def ours() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    peers = {
        "torch": seconds_of(lambda: torch.nn.functional.linear(x, weight), seconds),
        "onednn": seconds_of(lambda: onednn(x, weight, None, "none", [], ""), seconds),
    }
    return compared(f"linear, {rows} rows, {inputs} to {outputs}", ours, peers, rounds, LINEAR_BAR)


def timed_backward(shape: tuple[int, int, bool], threads: int, rounds: int, seconds: float) -> dict:
    """The gradients of q, k and v from that of the output, eight heads."""
    import torch

    L, D, causal = shape
    q, k, v = (torch.randn(1, 8, L, D, requires_grad=True) for _ in range(3))
    d_out = torch.randn(1, 8, L, D)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    command = [BACKWARD_PROGRAM, str(L), str(D), str(int(causal)), str(threads), str(seconds)]

    def ours() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    peers = {"torch": seconds_of(lambda: torch.autograd.grad(out, (q, k, v), d_out, retain_graph=True), seconds)}
    label = f"backward, D {D}, L {L}, {'causal' if causal else 'full'}"
    return compared(label, ours, peers, rounds, BACKWARD_BAR)


def timed_training(shape: tuple[int, int, int, int], bar: float, threads: int, rounds: int, seconds: float) -> dict:
    """A step of a decoder block, forward, backward and AdamW: PyTorch eager, and compiled where that works."""
    E, H, L, B = shape
    command = [TRAINING_PROGRAM, *map(str, (*shape, threads, seconds))]

    def ours() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    peers = {"torch": seconds_of(torch_step(shape, compiled=False), seconds)}
    try:
        step = torch_step(shape, compiled=True)
        step()
        peers["compile"] = seconds_of(step, seconds)
    except Exception as error:  # torch.compile needs a compiler and more, and says so in many ways
        print(f"torch.compile does not work here: {type(error).__name__}")
    return compared(f"training step, E {E}, H {H}, L {L}, B {B}", ours, peers, rounds, bar)


def torch_step(shape: tuple[int, int, int, int], compiled: bool) -> Callable:
    """One step of the block of bench/training_call.cpp."""
    import torch
    from torch.nn import functional as F

    E, H, L, B = shape

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm_1, self.norm_2 = torch.nn.LayerNorm(E), torch.nn.LayerNorm(E)
            self.qkv, self.out = torch.nn.Linear(E, 3 * E), torch.nn.Linear(E, E)
            self.up, self.down = torch.nn.Linear(E, 4 * E), torch.nn.Linear(4 * E, E)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (
                part.view(B, L, H, E // H).transpose(1, 2) for part in self.qkv(self.norm_1(x)).split(E, dim=2)
            )
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(B, L, E))
            return x + self.down(F.gelu(self.up(self.norm_2(x))))

    block = Block()
    forward = torch.compile(block) if compiled else block
    optimiser = torch.optim.AdamW(block.parameters(), weight_decay=0.01)
    x, d_out = torch.randn(B, L, E, requires_grad=True), torch.randn(B, L, E)

    def step() -> None:
        optimiser.zero_grad()
        x.grad = None
        forward(x).backward(d_out)
        optimiser.step()

    return step


def timed_mha(threads: int, rounds: int, seconds: float) -> dict | None:
    """Self-attention with all projections, without weights: PyTorch takes its fast path."""
    import torch

    try:
        import attention_cpp
    except ImportError:
        return None
    attention_cpp.set_num_threads(threads)
    B, L, E, H = MHA_SHAPE
    module = torch.nn.MultiheadAttention(E, H, batch_first=True).eval()
    twin = attention_cpp.MultiheadAttention.from_torch(module)
    tensor = torch.randn(B, L, E)
    array = tensor.numpy()
    expected = module(tensor, tensor, tensor, need_weights=False)[0].numpy()
    error = np.max(np.abs(twin(array, array, array, need_weights=False)[0] - expected))
    label = f"MultiheadAttention, E {E}, H {H}, L {L}, B {B}"
    if error > TOLERANCE:
        return {"label": label, "verdict": f"wrong: it is off by {error:.2g}"}
    ours = seconds_of(lambda: twin(array, array, array, need_weights=False), seconds)
    peers = {"torch": seconds_of(lambda: module(tensor, tensor, tensor, need_weights=False), seconds)}
    return compared(label, ours, peers, rounds, MHA_BAR)


def seconds_of(call: Callable, least: float) -> Seconds:
    """A measurement: mean seconds of as many calls as take this long, after one that is not timed."""

    def measurement() -> float:
        call()
        start = time.perf_counter()
        call()
        calls = max(1, math.ceil(least / (time.perf_counter() - start)))
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) / calls

    return measurement


def compared(label: str, ours: Seconds, peers: dict[str, Seconds], rounds: int, bar: float) -> dict:
    """All in turn; the ratio is the best peer's time over ours, the median of those within a round."""
    measurements = {"ours": ours, **peers}
    names = list(measurements)
    found = []
    for number in range(rounds):
        first = number % len(names)
        times = {}
        for name in names[first:] + names[:first]:
            time.sleep(REST_SECONDS)
            times[name] = measurements[name]()
        found.append(times)
    ratios = {name: statistics.median(times[name] / times["ours"] for times in found) for name in peers}
    best = min(ratios, key=lambda name: ratios[name])
    ratio = ratios[best]
    return {
        "label": label,
        "ms": {name: statistics.median(times[name] for times in found) * 1e3 for name in names},
        "best_peer": best,
        "ratio": ratio,
        "bar": bar,
        "verdict": "at the bar" if abs(ratio - bar) <= POINT else "met" if ratio > bar else "missed",
        "rounds": found,
    }


def table(results: list[dict]) -> str:
    """One line for each layer."""
    if not results:
        return "layers: PyTorch is not installed, so that there is nothing to compare them with"
    lines = [
        "layers beside the faster of PyTorch's; ratio: its time over ours",
        f"  {'':42}{'ms':>9}{'theirs':>9}  {'':8}{'ratio':>6}{'bar':>9}",
    ]
    for result in results:
        if "ratio" not in result:
            lines.append(f"  {result['label']:42}{result['verdict']}")
            continue
        best, ms = result["best_peer"], result["ms"]
        lines.append(
            f"  {result['label']:42}{ms['ours']:9.3g}{ms[best]:9.3g}  {best:8}{result['ratio']:6.2f}"
            f"{'>= ' + format(result['bar'], '.2f'):>9}  {result['verdict']}"
        )
    return "\n".join(lines)
