"""Times this library and its peers in one process: interleaved, on the same arrays, with the same threads.

    build/peers-venv/bin/python bench/peers/compare.py [--threads N] [--shapes small|full] [--json FILE]

See README.md beside this file for what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import machine

if TYPE_CHECKING:
    from contenders import Contender


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Times this library and its peers in one process.")
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cpus, help="threads of each contender (all CPUs)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender (5)")
    parser.add_argument("--seconds", type=float, default=0.2, help="least time of one measurement (0.2)")
    parser.add_argument(
        "--shapes", choices=["small", "full"], default="small", help="full: longer sequences too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to this file")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only this contender; may be given several times"
    )
    parser.add_argument(
        "--no-layers", dest="layers", action="store_false", help="leave out linear, the gradients and MultiheadAttention"
    )
    parser.add_argument("--no-memory", action="store_true", help="do not measure the peak memory")
    parsed = parser.parse_args()
    if parsed.threads < 1 or parsed.rounds < 1 or parsed.seconds <= 0:
        parser.error("--threads, --rounds and --seconds must be positive")
    return parsed


def available(threads: int, only: list[str] | None) -> list[Contender]:
    """The contenders that are installed, of those asked for; says what is missing."""
    import contenders

    names = [kind.name for kind in contenders.ALL]
    for name in only or []:
        if name not in names:
            raise SystemExit(f"compare.py: there is no contender '{name}'; there are {', '.join(names)}")
    found = []
    for kind in contenders.ALL:
        if only and kind.name not in only:
            continue
        try:
            found.append(kind(threads))
        except ImportError as error:
            print(f"{kind.name}: not installed ({error}): run bench/peers/setup")
    if not found:
        raise SystemExit("compare.py: nothing to time")
    return found


def main() -> None:
    """Runs the comparison."""
    args = arguments()
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
    notes = machine.settle_environment(args.threads)
    # Only now: NumPy and the peers read the environment when they are imported.
    import layers
    import measure
    import peak_memory
    import problems
    import report

    contenders = available(args.threads, args.only)
    peak = machine.measured_peak(args.threads, fma_only=False)
    cpu, flags = machine.cpu_name_and_flags()
    print(report.header(cpu, flags, args.threads, machine.commit(), contenders, peak))
    if peak is None:
        notes.append(f"without the peak; for it: {machine.PEAK_COMMAND}")
    print("".join(f"note     {note}\n" for note in notes))

    shapes = problems.problems(args.shapes)
    outcomes = []
    for problem in shapes:
        outcomes.append(measure.timed_problem(problem, contenders, args.rounds, args.seconds))
        print(report.table(outcomes[-1]) + "\n", flush=True)
    print(report.LEGEND)
    print("\n" + report.standings(outcomes))
    layer_results = []
    if args.layers:
        layer_results = layers.timed(args.threads, args.rounds, args.seconds)
        print("\n" + layers.table(layer_results))

    growths = {}
    if not args.no_memory:
        for each in contenders:
            lengths = peak_memory.LENGTHS if each.name == "attention_cpp" else peak_memory.LENGTHS[:1]
            for length in lengths:
                growths[f"{each.name} L{length}"] = {
                    mode: peak_memory.measured_growth(each.name, args.threads, length, mode)
                    for mode in ("full", "causal")
                }
        print("\n" + report.memory_table(growths, contenders))
    if args.json:
        data = {
            "cpu": cpu, "flags": flags, "threads": args.threads, "commit": machine.commit(), "peak": peak,
            "notes": notes, "versions": {each.name: each.version for each in contenders},
            "problems": [report.data_of(outcome) for outcome in outcomes],
            "layers": layer_results,
            "memory_mib": growths,
        }
        args.json.write_text(json.dumps(data, indent=2) + "\n")


if __name__ == "__main__":
    main()
