"""Times the contenders of one problem, interleaved: each round takes each once, in an order that rotates."""

import math
import statistics
import time
from dataclasses import dataclass, field

import numpy as np

import machine
from contenders import Call, Contender
from problems import TOLERANCE, Arrays, Problem, checked_rows, reference

# Threads of one library may spin for a while after a call; the next contender starts when they sleep.
REST_SECONDS = 0.02


@dataclass
class Timing:
    """What one contender did on one problem."""

    contender: Contender
    call: Call
    error: float
    repetitions: int = 1
    seconds: list[float] = field(default_factory=list)  # of one call, by round
    busy_cpus: list[float] = field(default_factory=list)  # by round

    @property
    def median(self) -> float:
        """Median over the rounds of the seconds of one call."""
        return statistics.median(self.seconds)


@dataclass
class Outcome:
    """The timings of one problem, the contenders left out and why, and the peak around it in GFLOP/s."""

    problem: Problem
    timings: list[Timing]
    left_out: dict[str, str]
    peak: float | None

    def ratio(self, timing: Timing) -> float | None:
        """How many times as long as attention_cpp: the median of the ratios within a round."""
        base = [other for other in self.timings if other.contender.name == "attention_cpp"]
        if not base:
            return None
        return statistics.median(a / b for a, b in zip(timing.seconds, base[0].seconds))


def timed_problem(problem: Problem, contenders: list[Contender], rounds: int, seconds: float) -> Outcome:
    """Checks every contender against the reference, then times those that are right."""
    arrays = problem.arrays()
    timings, left_out = checked(problem, arrays, contenders)
    threads = contenders[0].threads
    peaks = [machine.measured_peak(threads, fma_only=True)]
    for timing in timings:
        timing.repetitions = repetitions_for(timing, seconds)
    for round_number in range(rounds if timings else 0):
        first = round_number % len(timings)
        for timing in timings[first:] + timings[:first]:
            time_once(timing)
    peaks.append(machine.measured_peak(threads, fma_only=True))
    peak = max((found["fma_gflops"] for found in peaks if found), default=None)
    return Outcome(problem, timings, left_out, peak)


def checked(
    problem: Problem, arrays: Arrays, contenders: list[Contender]
) -> tuple[list[Timing], dict[str, str]]:
    """The contenders whose result is right, and for the others what is wrong."""
    rows = checked_rows(problem)
    expected = reference(arrays, problem.causal, rows)
    timings, left_out = [], {}
    for contender in contenders:
        try:
            call = contender.prepare(arrays, problem.causal)
            with contender.around():
                result = contender.to_numpy(call())[:, :, rows]
            error = float(np.max(np.abs(result - expected)))
        except Exception as failure:  # Whatever a peer throws: it is reported, and the others go on.
            left_out[contender.name] = f"{type(failure).__name__}: {failure}"
            continue
        if error <= TOLERANCE:
            timings.append(Timing(contender, call, error))
        else:
            left_out[contender.name] = f"wrong: it is off by {error:.2g}"
    return timings, left_out


def repetitions_for(timing: Timing, seconds: float) -> int:
    """How many calls take at least this long, from the faster of two samples."""
    samples = [seconds_of(timing, 1) for _ in range(2)]
    few = max(1, math.ceil(0.1 * seconds / min(samples)))
    return max(1, math.ceil(seconds / seconds_of(timing, few)))


def seconds_of(timing: Timing, repetitions: int) -> float:
    """Mean seconds of a call, after one that is not timed."""
    with timing.contender.around():
        timing.call()
        start = time.perf_counter()
        for _ in range(repetitions):
            timing.call()
        return (time.perf_counter() - start) / repetitions


def time_once(timing: Timing) -> None:
    """One measurement of a round."""
    time.sleep(REST_SECONDS)
    cpu_start, start = time.process_time(), time.perf_counter()
    timing.seconds.append(seconds_of(timing, timing.repetitions))
    timing.busy_cpus.append((time.process_time() - cpu_start) / (time.perf_counter() - start))
