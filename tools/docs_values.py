"""What the documents' cog blocks and numbers can name. Everything is computed by the built programs, on the reference path, but for
the few lines of arithmetic at the end.

Functions that print a block return its text; cog blocks write `cog.outl(...)`.
"""

import functools
import json
import math
import os
import pathlib
import re
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
build = None  # the build folder, set by docs.py
page = None  # the document being computed
_shown = {}  # figures by path


def _plain():
    """An environment in which every terminal looks the same."""
    settings = {"COLUMNS": "80", "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    return {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"} | settings


def run(*command):
    """The standard output of one of the project's programs."""
    words = [str(c) for c in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, env=_plain()).stdout


def attention(*arguments):
    """The standard output of the command line."""
    return run(build / "cli" / "attention", *arguments)


@functools.cache
def experiments():
    return {e["name"]: e for e in json.loads(attention("experiment", "all", "--json"))["experiments"]}


def claim(experiment, name):
    return next(c for c in experiments()[experiment]["claims"] if c["id"] == name)


def effect(experiment, name):
    return next(e for e in experiments()[experiment]["effects"] if e["id"] == name)


@functools.cache
def three_tokens():
    return json.loads(run(build / "tutorials" / "tutorial_01_three_tokens"))


def _lines_of(rows, row_labels, column_labels, digits=4):
    if all(not isinstance(v, str) and float(v).is_integer() for row in rows for v in row):
        digits = 0
    cells = [[v if isinstance(v, str) else f"{v:.{digits}f}" for v in row] for row in rows]
    head = max(len(label) for label in row_labels)
    width = max(len(text) for text in list(column_labels) + [c for row in cells for c in row]) + 2
    lines = [" " * head + "".join(label.rjust(width) for label in column_labels)]
    return lines + [label.ljust(head) + "".join(c.rjust(width) for c in row) for label, row in zip(row_labels, cells)]


TOKENS = ["the", "cat", "sat"]


def step(*names):
    """Matrices of the three-token example side by side, as a block of plain text; more than one with their names."""
    blocks = []
    for name in names:
        rows = three_tokens()[name]
        columns = TOKENS if len(rows[0]) == 3 else [f"[{i}]" for i in range(len(rows[0]))]
        labels = TOKENS if len(rows) == 3 else [f"[{i}]" for i in range(len(rows))]
        lines = _lines_of(rows, labels, columns)
        blocks.append(([name.upper().replace("_Q", "_q").replace("_K", "_k").replace("_V", "_v")] if len(names) > 1 else []) + lines)
    widths = [max(len(line) for line in block) for block in blocks]
    lines = ["      ".join(line.ljust(w) for line, w in zip(row, widths)).rstrip() for row in zip(*blocks)]
    return "```text\n" + "\n".join(lines) + "\n```"


def snippet(path, name, language="cpp"):
    """The lines of a source file between the marks // [name] and // [/name]."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = re.search(rf"^ *// \[{re.escape(name)}\]\n(.*?)^ *// \[/{re.escape(name)}\]", text, re.S | re.M)
    if not found:
        raise KeyError(f"{path} has no snippet {name}")
    return f"```{language}\n{_dedented(found[1])}\n```"


def passage(path, start, end, language="cpp"):
    """The lines of a source file from the one that holds `start` to the one before that which holds (or is) `end`."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if start in line)
    last = next(i for i, line in enumerate(lines) if i > first and (line == end if end == "}" else end in line))
    return f"```{language}\n{_dedented(chr(10).join(lines[first:last]))}\n```"


def whole(path, language="cpp"):
    """A whole source file."""
    return f"```{language}\n{(ROOT / path).read_text(encoding='utf-8').rstrip()}\n```"


def _dedented(text):
    lines = text.rstrip().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines)


@functools.cache
def _drawn():
    folder = tempfile.TemporaryDirectory()
    attention("experiment", "all", "--format", "svg", "--output", folder.name)
    return folder


def figure(name, alt):
    """A figure of the experiments, kept beside the document."""
    _shown[page.parent / "figures" / f"{name}.svg"] = (pathlib.Path(_drawn().name) / f"{name}.svg").read_bytes()
    return f"![{alt}](figures/{name}.svg)"


def figures():
    """The figures that the documents computed so far show: pairs of path and bytes."""
    return sorted(_shown.items())


def unused_figures():
    """Figures in the folders that no document shows."""
    folders = {path.parent for path in _shown}
    return sorted(p for folder in folders if folder.exists() for p in folder.iterdir() if p not in _shown)


def _range(found):
    values = [100 * event["probability"] for event in found["events"]]
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def probabilities(experiment, name):
    """The range of a claim's measured probabilities: "33.0 to 34.9 %"."""
    return _range(claim(experiment, name))


def answers(experiment, name, which="one_draw"):
    """In how many of its events a claim holds: "2 of 3"."""
    events = claim(experiment, name)["events"]
    held = sum(event[which] for event in events)
    return ("yes" if held else "no") if len(events) == 1 else f"{held} of {len(events)}"


def cmake_of_the_first_program():
    """The CMakeLists.txt that the consumer test builds, without what only the test needs."""
    text = (ROOT / "tests/consumer/find_package/CMakeLists.txt").read_text(encoding="utf-8")
    text = re.sub(r"if\(WITH_RENDER\).*?else\(\)\n  (.*?)\nendif\(\)\n", r"\1\n", text, flags=re.S)
    return "```cmake\n" + text.replace("../../../tutorials/00_setup/", "").strip() + "\n```"


@functools.cache
def experiment_with(name, *options):
    return json.loads(attention("experiment", name, "--json", *options))


def probabilities_with(name, claim_name, *options):
    """As probabilities, of an experiment run with other options."""
    claims = experiment_with(name, *options)["claims"]
    return _range(next(c for c in claims if c["id"] == claim_name))


def effect_with(name, effect_name, *options):
    return next(e for e in experiment_with(name, *options)["effects"] if e["id"] == effect_name)


def terminal_on_own_tokens(*arguments):
    """A command and what it prints, in a folder that holds the tokens of exercise 5 as mine.npy."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([build / "tutorials" / "tutorial_01_exercises"], cwd=folder, check=True, capture_output=True)
        command = [build / "cli" / "attention", *arguments]
        printed = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=_plain()).stdout
    return f"```console\n$ attention {' '.join(arguments)}\n{printed.rstrip()}\n```"


# Of attention/kernels/README.md: three blocks of keys, each key an exponent of 2 and a value.
EXAMPLE = [[(1, 8), (2, 4)], [(4, 1), (3, 2)], [(2, 6), (4, 5)]]


def plain_softmax(blocks):
    """The output without blocks and without a maximum."""
    keys = [key for block in blocks for key in block]
    return sum(2.0**x * v for x, v in keys) / sum(2.0**x for x, _ in keys)


def online_softmax(blocks):
    """For each block the factor, the weights and the state (maximum, sum, out) after it."""
    states = []
    maximum, total, out = -math.inf, 0.0, 0.0
    for block in blocks:
        new = max([maximum, *(x for x, _ in block)])
        factor = 2.0 ** (maximum - new)
        weights = [2.0 ** (x - new) for x, _ in block]
        total = total * factor + sum(weights)
        out = out * factor + sum(w * v for w, (_, v) in zip(weights, block))
        maximum = new
        states.append({"block": block, "factor": factor, "weights": weights, "state": (maximum, total, out)})
    return states


def online_softmax_table(blocks):
    """A line for each block, as a table."""
    lines = ["| block | x | v | m | f | weights | l | o |", "|---|---|---|---|---|---|---|---|"]
    for number, each in enumerate(online_softmax(blocks), 1):
        cells = [", ".join(f"{x:g}" for x, _ in each["block"]), ", ".join(f"{v:g}" for _, v in each["block"])]
        maximum, total, out = each["state"]
        weights = ", ".join(f"{w:g}" for w in each["weights"])
        lines.append(f"| {number} | {cells[0]} | {cells[1]} | {maximum:g} | {each['factor']:g} | {weights} | {total:g} | {out:g} |")
    return "\n".join(lines)


def scratch_bytes(lanes, panels, D, Dv, block=128):
    """Of one task of sdpa_forward on float, without a mask and weights; see lay_out in kernels/isa/sdpa_forward.cpp."""
    panel = 4 * lanes
    pieces = [4 * D * panel, 4 * Dv * panel, 4 * panel, 4 * panel] * panels
    pieces += [4 * block * panel, 4 * block * Dv, 8 * block, 4 * panel, 4 * panel]
    return sum((size + 63) // 64 * 64 for size in pieces)
