#!/usr/bin/env python3
"""Computes what the documents show: blocks by cog, numbers within sentences by the marks below, figures by the command.

    docs.py --build BUILD_FOLDER [--check]

A number in a sentence stands between a comment that says how it is computed and one that ends it:

    one head gives <!-- = "{:+.4f}".format(effect("pattern", "spread")["one_draw"]) -->+0.0141<!-- end -->

Names in cog blocks and marks are those of tools/docs_values.py.
"""

import argparse
import difflib
import pathlib
import re
import sys

import docs_values
from cogapp import Cog

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md", "tutorials/00_setup/README.md", "tutorials/01_basic_attention/README.md", "attention/kernels/README.md",
    "docs/performance.md"
]

MARK = re.compile(r"<!-- = (.*?) -->(.*?)<!-- end -->", re.S)


def with_numbers(text):
    # Markdown takes a line that begins with a comment for a block of its own.
    if re.search(r"^<!-- = ", text, re.M):
        raise ValueError(f"{docs_values.page}: a line begins with a mark; put a word before it")

    def compute(match):
        value = eval(match[1], dict(vars(docs_values)))  # the documents are ours
        return f"<!-- = {match[1]} -->{value}<!-- end -->"

    return MARK.sub(compute, text)


def with_blocks(text, path):
    cog = Cog()
    cog.options.prologue = "from docs_values import *\n"
    return cog.process_string(text, fname=str(path))


def computed(path):
    docs_values.page = path
    text = path.read_text(encoding="utf-8")
    return text, with_blocks(with_numbers(text), path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something is stale")
    arguments = parser.parse_args()
    docs_values.build = arguments.build.resolve()

    stale = []
    for name in DOCUMENTS:
        old, new = computed(ROOT / name)
        if old != new:
            stale.append(name)
            if arguments.check:
                sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, "computed"))
            else:
                (ROOT / name).write_text(new, encoding="utf-8")
    for path, data in docs_values.figures():
        if not path.exists() or path.read_bytes() != data:
            stale.append(str(path.relative_to(ROOT)))
            if not arguments.check:
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)
    for path in docs_values.unused_figures():
        stale.append(f"{path.relative_to(ROOT)} (no document shows it)")
        if not arguments.check:
            path.unlink()
    if not stale:
        print("the documents are fresh")
        return 0
    print(("stale: " if arguments.check else "computed again: ") + ", ".join(stale))
    return 1 if arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
