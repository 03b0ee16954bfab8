"""What type checkers need is installed with the package."""

from __future__ import annotations

import ast
import inspect
from importlib import resources
from types import ModuleType

import pytest

import attention_cpp
from attention_cpp import _core, experiments, figures, functional, nn, runtime

PACKAGE = resources.files("attention_cpp")


def test_py_typed_is_installed() -> None:
    """The marker of PEP 561."""
    assert (PACKAGE / "py.typed").is_file()


def test_the_stub_names_all_of_the_native_half() -> None:
    """_core.pyi parses, and knows every name that _core has, methods included."""
    tree = ast.parse((PACKAGE / "_core.pyi").read_text())
    known: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            known.add(node.name)
        if isinstance(node, ast.ClassDef):
            known |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    for name, value in vars(_core).items():
        if name.startswith("_"):
            continue
        assert name in known
        if isinstance(value, type):
            public = {f"{name}.{part}" for part in vars(value) if not part.startswith("_")}
            assert public <= known, public - known


def test_all_names_are_there() -> None:
    assert sorted(attention_cpp.__all__) == attention_cpp.__all__
    for name in attention_cpp.__all__:
        assert hasattr(attention_cpp, name)


@pytest.mark.parametrize("module", [experiments, figures, functional, nn, runtime], ids=lambda m: m.__name__)
def test_public_functions_are_annotated_and_documented(module: ModuleType) -> None:
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ != module.__name__ or name.startswith("_"):
            continue
        assert function.__doc__, name
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter}"
