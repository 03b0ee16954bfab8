"""The snippets of the documents run, and print what the documents say."""

import doctest
import importlib.util
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "docs/coming-from-pytorch.md"]
HAS_TORCH = importlib.util.find_spec("torch") is not None
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(text: str) -> list[tuple[int, str, bool]]:
    """Line, text and whether it needs torch, of each block that starts with ```pycon."""
    found = re.finditer(r"^```pycon( torch)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text[: m.start()].count("\n") + 1, m.group(2), m.group(1) is not None) for m in found]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_snippets(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    found = blocks(text)
    assert found, f"{document} has no snippet"
    names: dict[str, object] = {}
    failures = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for line, block, needs_torch in found:
        if needs_torch and not HAS_TORCH:
            continue
        test = doctest.DocTestParser().get_doctest(block, names, document, document, line)
        result = runner.run(test, out=failures.append, clear_globs=False)
        names = test.globs
        assert result.failed == 0, "".join(failures)
