"""The kernel's stub says exactly what the compiled module has: names, parameters, defaults' presence, properties."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

from sixfold.kernel import _kernel

STUB = ast.parse((Path(__file__).parents[2] / "kernel" / "_kernel.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}


def stub_parameters(node: ast.FunctionDef) -> list[tuple[str, str, bool]]:
    """(name, kind, has a default), without self and cls."""
    args = node.args
    positional = [*args.posonlyargs, *args.args]
    plain = len(positional) - len(args.defaults)
    found = [(arg.arg, "positional", at >= plain) for at, arg in enumerate(positional)]
    found += [
        (arg.arg, "keyword", default is not None)
        for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    return [item for item in found if item[0] not in ("self", "cls")]


def module_parameters(function: Any) -> list[tuple[str, str, bool]]:
    found = []
    for parameter in inspect.signature(function).parameters.values():
        kind = "keyword" if parameter.kind is inspect.Parameter.KEYWORD_ONLY else "positional"
        found.append((parameter.name, kind, parameter.default is not inspect.Parameter.empty))
    return [item for item in found if item[0] not in ("self", "cls", "_cls")]


def decorators(node: ast.FunctionDef) -> set[str]:
    return {item.id for item in node.decorator_list if isinstance(item, ast.Name)}


def members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            found[item.name] = item
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = item
    return found


def test_the_module_and_the_stub_have_the_same_names() -> None:
    names = {name for name in vars(_kernel) if not name.startswith("_")}
    assert names == set(CLASSES) | set(FUNCTIONS)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_have_the_stub_s_parameters(name: str) -> None:
    assert module_parameters(getattr(_kernel, name)) == stub_parameters(FUNCTIONS[name])


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"KernelError"}))
def test_classes_have_the_stub_s_members(name: str) -> None:
    compiled = getattr(_kernel, name)
    stated = members(CLASSES[name])
    has = {member for member in vars(compiled) if not member.startswith("_")}
    assert has == {member for member in stated if not member.startswith("_")}
    for member, node in stated.items():
        if member.isupper():
            continue
        if isinstance(node, ast.AnnAssign) or "property" in decorators(node):
            assert inspect.isgetsetdescriptor(vars(compiled)[member]), member
        elif member in ("__new__", "__init__"):
            assert module_parameters(compiled) == stub_parameters(node), member
        elif not member.startswith("__"):
            assert module_parameters(getattr(compiled, member)) == stub_parameters(node), member


def test_kernel_errors_carry_the_stated_fields() -> None:
    with pytest.raises(_kernel.KernelError) as caught:
        _kernel.type_input(23, "x")
    for field in members(CLASSES["KernelError"]):
        assert hasattr(caught.value, field), field
    assert caught.value.code == "22P02"
    assert caught.value.args == (caught.value.code, caught.value.message)


def test_every_kind_of_need_is_documented() -> None:
    text = ast.get_docstring(STUB) or ""
    for kind in _kernel.need_kinds():
        assert f'``("{kind}"' in text, kind
