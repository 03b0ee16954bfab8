#!/usr/bin/env python3
"""Checks the documents: relative links and anchors lead somewhere, and each rule of docs/semantics.md names tests that exist.

    check_documents.py [BUILD]      BUILD: the build folder whose tests count; without it, links alone
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.M)
TEST = re.compile(r"`([A-Z]\w*\.[A-Z]\w*)`")


def documents():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.md"], capture_output=True,
                            text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def anchors(path):
    """The anchors of a page, as GitHub makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    made = set()
    for heading in HEADING.findall(text):
        plain = re.sub(r"[`*]", "", heading).strip().lower()
        made.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return made


def faults_of_links(path):
    text = re.sub(r"<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.S)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        if not place.exists():
            yield f"{path.relative_to(ROOT)}: the link {target} leads nowhere"
        elif anchor and anchor not in anchors(place):
            yield f"{path.relative_to(ROOT)}: there is no heading for the link {target}"


def faults_of_rules(build):
    listed = subprocess.run(["ctest", "--test-dir", build, "-N"], capture_output=True, text=True, check=True).stdout
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        rule = part.splitlines()[0]
        tests = TEST.findall(part)
        if re.match(r"\d+\.", rule) and not tests:
            yield f"docs/semantics.md: rule {rule!r} names no test"
        for test in tests:
            suite, name = test.split(".")  # typed suites carry the type between the two
            if not re.search(rf"[ /]{suite}(/[^.\n]*)?\.{name}\b", listed):
                yield f"docs/semantics.md: rule {rule!r} names {test}, and there is no such test"


def main():
    faults = [fault for path in documents() for fault in faults_of_links(path)]
    if len(sys.argv) > 1:
        faults += faults_of_rules(sys.argv[1])
    print("\n".join(faults) if faults else "the documents' links and tests exist")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
