"""The meanings of fields that are told by the docstrings under them, as in `livemarkets/status/report.py`."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from types import ModuleType

__all__ = ["field_docs"]


def field_docs(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return the docstring of each field that has one, by the names of the class and the field."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            docs = found[node.name] = {}
            for pair in pairwise(node.body):
                match pair:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        docs[name] = " ".join(text.split()).replace("`None`", "`null`")
    return found
