#!/usr/bin/env python3
"""Checks that every room of attention/ includes only the rooms that it may know, and that the rest uses public headers.

The order is that of docs/architecture.md. A wrong arrow does not link either; this names the line.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each room may include besides itself.
MAY_KNOW = {
    "core": set(),
    "reference": {"core"},
    "kernels": {"core"},
    "ops": {"core", "reference", "kernels"},
    "autograd": {"core", "ops"},
    "nn": {"core", "ops", "autograd"},
    "io": {"core"},
    "train": {"core", "ops", "autograd", "nn", "io"},
    "render": {"core"},
}
# Rooms whose headers users have.
PUBLIC = set(MAY_KNOW) - {"kernels"}
# What stands on top of the library.
ON_TOP = ["cli", "experiments", "tutorials"]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]attention/([a-z_]+)/([^>"]+)[>"]')


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def faults():
    for room in sorted(p.name for p in (ROOT / "attention").iterdir() if p.is_dir()):
        if room not in MAY_KNOW:
            yield f"attention/{room}: a room that tools/check_rooms.py does not know"
            continue
        for path in sorted((ROOT / "attention" / room).rglob("*.[ch]pp")):
            for number, other, header in includes(path):
                where = f"{path.relative_to(ROOT)}:{number}"
                if other != room and other not in MAY_KNOW[room]:
                    yield f"{where}: {room} may not know {other}"
                if other != room and header.startswith("detail/"):
                    yield f"{where}: {other}/{header} is private to {other}"
                if path.suffix == ".hpp" and "detail" not in path.parts and room in PUBLIC:
                    if other not in PUBLIC or header.startswith("detail/"):
                        yield f"{where}: a public header includes a private one, {other}/{header}"
    for folder in ON_TOP:
        for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
            for number, other, header in includes(path):
                if other not in PUBLIC or header.startswith("detail/"):
                    yield f"{path.relative_to(ROOT)}:{number}: {other}/{header} is not a public header"


def main():
    found = list(faults())
    print("\n".join(found) if found else "the rooms include what they may know")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
