#!/usr/bin/env python3
"""Checks what the objects of one instruction set define.

  check_isa_symbols.py NM ISA OBJECT...

A weak or COMDAT symbol is a function that other objects define too, and the linker keeps any one of them: one that was
compiled for AVX-512 would end every program on a processor without it. So nothing may be defined but what is private to
its object, and the functions that isa/functions.hpp declares with the table of them, in the namespace of this one.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What each instruction set defines is declared there.
HEADER = ROOT / "attention/kernels/isa/functions.hpp"
DECLARATION = re.compile(r"^[\w:]+ (\w+)\(", re.MULTILINE)
TABLE = "kFunctions"
# nm's letters: undefined, and what is private to an object. A capital letter is global; V, v, W, w are weak, u unique,
# i an indirect function.
UNDEFINED = {"U"}
PRIVATE = {"a", "b", "d", "n", "N", "p", "r", "s", "t"}
LINE = re.compile(r"^(?:[0-9a-fA-F]+)?\s+([A-Za-z?-])\s+(.*)$")


def symbols(nm, path):
    listing = subprocess.run([nm, "--demangle", path], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        match = LINE.match(line)
        if match:
            yield match[1], match[2]


def faults(nm, isa, paths):
    namespace = f"attention::kernels::{isa}::"
    functions = DECLARATION.findall(HEADER.read_text(encoding="utf-8"))
    expected = {namespace + name for name in [*functions, TABLE]}
    found = set()
    for path in paths:
        for letter, symbol in symbols(nm, path):
            name = symbol.split("(")[0]
            if letter in UNDEFINED or letter in PRIVATE:
                continue
            if letter.islower() or letter in "VW":
                yield f"{path}: weak or unique ({letter}): {symbol}"
            elif name not in expected:
                yield f"{path}: global ({letter}), and not in the list: {symbol}"
            found.add(name)
    for name in sorted(expected - found):
        yield f"{isa}: not defined: {name}"


def main():
    nm, isa, *paths = sys.argv[1:]
    found = list(faults(nm, isa, paths))
    for fault in found:
        print(fault)
    print(f"{isa}: {len(paths)} objects, {len(found)} faults")
    return 1 if found or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
