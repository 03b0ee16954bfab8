#!/usr/bin/env python3
"""Prints the tables of docs/performance.md, section "Measured", from what ./tools/bench has measured.

    bench/tables.py [FOLDER]      FOLDER: build/bench (default)
"""

import json
import sys
from pathlib import Path

TITLES = {
    "full": "Full attention, float32, H 8; share of the peak:",
    "causal": "Causal, float32, H 8; share of the peak:",
    "backward": "The gradients, float32, H 8, 2.5 times the operations of the forward pass; share of the peak:",
    "bf16": "Full attention of bfloat16; share of the bf16 dot peak:",
    "sizes": "Other sizes, float32; share of the peak:",
    "rules": "Rules: time for a visible cell, over that of the same problem without the rule (of the random mask: the whole\ntime):",
    "decode": "Decoding, one query; share of the bandwidth at which the same keys and values can be read, again and again:",
    "tiny": "The tutorials' size, one head of 8; microseconds of a call:",
    "memory": "Memory beyond inputs and outputs at L = 65,536, one head of 64; MiB a thread:",
    "linear": "The affine map, float32; share of the peak:",
    "training": "A step of training a decoder block (forward, backward, AdamW), H 8, L 256, B 16; share of the peak:",
    "mha": "MultiHeadAttention with its projections, B 4, float32; share of the peak:",
}
UNITS = {
    "share_of_peak": lambda value: f"{100 * value:.0f} %",
    "share_of_bandwidth": lambda value: f"{100 * value:.0f} %",
    "time_ratio": lambda value: f"{value:.2f} x",
    "microseconds": lambda value: f"{value:.2f}",
    "mebibytes": lambda value: f"{value:.2f}",
}


def runs(folder: Path) -> dict[str, dict]:
    found = {}
    for compiler in ("g++", "clang++"):
        file = folder / f"ours-{compiler}.json"
        if file.exists():
            found[compiler] = json.loads(file.read_text())
    if not found:
        sys.exit(f"{folder} has no ours-*.json; ./tools/bench measures")
    return found


def columns(found: dict[str, dict], group: str) -> list[tuple[str, int]]:
    threads = sorted({case["threads"] for run in found.values() for case in run["cases"] if case["group"] == group})
    return [(compiler, count) for compiler in found for count in threads]


def print_group(found: dict[str, dict], group: str, title: str) -> None:
    heads = columns(found, group)
    if not heads:
        return
    rows: dict[str, dict[tuple[str, int], str]] = {}
    bars = {}
    for compiler, run in found.items():
        for case in run["cases"]:
            if case["group"] == group:
                text = UNITS[case["measure"]](case["value"])
                if case["verdict"] in ("met", "at the bar"):
                    text = f"**{text}**"
                rows.setdefault(case["label"], {})[compiler, case["threads"]] = text
                if case["bar"] is not None:
                    bars.setdefault(case["label"], {})[compiler] = UNITS[case["measure"]](case["bar"])
    print(f"{title}\n")
    names = [f"{compiler}, {count} thread{'s' if count > 1 else ''}" for compiler, count in heads]
    print(f"| | {' | '.join(names)} | bar |")
    print("|---" * (len(heads) + 2) + "|")
    for label, cells in rows.items():
        bar = " / ".join(dict.fromkeys(bars.get(label, {}).values())) or "-"
        print(f"| {label} | {' | '.join(cells.get(head, '-') for head in heads)} | {bar} |")
    print()


def print_limits(found: dict[str, dict]) -> None:
    print("| limit | threads | " + " | ".join(found) + " |")
    print("|---" * (len(found) + 2) + "|")
    rows: dict[tuple[str, int], list[str]] = {}
    for run in found.values():
        for limit in run["limits"]:
            unit = "GB/s" if limit["unit"] == "B/s" else "GFLOP/s"
            rows.setdefault((limit["name"], limit["threads"]), []).append(f"{limit['rate'] / 1e9:.0f} {unit}")
    for (name, threads), cells in rows.items():
        print(f"| {name} | {threads} | {' | '.join(cells)} |")
    print()


def print_peers(folder: Path) -> None:
    found = {n: json.loads(file.read_text()) for n in (1, 2) if (file := folder / f"peers-{n}.json").exists()}
    if not found:
        return
    names = [f"{count} thread{'s' if count > 1 else ''}" for count in found]
    problems: dict[str, list[str]] = {}
    layers: dict[str, list[str]] = {}
    for run in found.values():
        for one in run["problems"]:
            what, standing = one["problem"], one["standing"]
            lengths = f"L {what['L']}" + ("" if what["L"] == what["S"] else f", S {what['S']}")
            label = f"H {what['H']}, D {what['D']}, {lengths}, {'causal' if what['causal'] else 'full'}"
            problems.setdefault(label, []).append(cell_of(standing["ratio"], standing["best_peer"], 1.0))
        for one in run["layers"]:
            layers.setdefault(one["label"], []).append(cell_of(one["ratio"], one["best_peer"], one["bar"]))
    versions = ", ".join(f"{name} {version}" for name, version in next(iter(found.values()))["versions"].items())
    print(f"Beside the best peer of each problem: its time over ours ({versions}).\n")
    print_rows(names, problems)
    print("Layers beside the faster of PyTorch's, eager and by oneDNN; the bar is 0.95 for `linear`, 1 for the others:\n")
    print_rows(names, layers)


def cell_of(ratio: float, peer: str, bar: float) -> str:
    text = f"{ratio:.2f} ({peer})"
    return f"**{text}**" if ratio >= bar - 0.01 else text


def print_rows(names: list[str], rows: dict[str, list[str]]) -> None:
    print(f"| | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for label, cells in rows.items():
        print(f"| {label} | {' | '.join(cells)} |")
    print()


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    found = runs(folder)
    first = next(iter(found.values()))
    commits = dict.fromkeys(run["commit"] for run in found.values())
    compilers = ", ".join(run["compiler"] for run in found.values())
    print(f"{first['cpu']}, kernels {first['isa']}, {compilers}, commit {', '.join(commits)}.")
    print("Bold: the bar is met, or within one point.\n")
    print_limits(found)
    for group, title in TITLES.items():
        print_group(found, group, title)
    print_peers(folder)


main()
