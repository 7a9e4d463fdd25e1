"""Runs the code cells of a notebook one after the other, as Jupyter would, and prints the value of each.

    python tests/support/notebook.py NOTEBOOK FOLDER [OLD NEW]…

It needs nothing but Python. The folder is where the cells find files; old text in a cell is replaced by new.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

__all__ = ["code_cells", "compiled", "run"]


def code_cells(notebook: Path) -> list[str]:
    """The texts of the cells that are run."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def compiled(cell: str, name: str) -> Iterator[CodeType]:
    """The statements of a cell, and its last expression, if it ends with one, on its own."""
    tree = ast.parse(cell, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    yield compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if isinstance(last, ast.Expr):
        yield compile(ast.Expression(last.value), name, "eval", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def run(cells: list[str]) -> dict[str, Any]:
    """Run cells; return the names that they have defined."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        value = None
        for code in compiled(cell, f"cell {number}"):
            value = eval(code, names)
            if inspect.iscoroutine(value):
                value = await value
        if value is not None:
            print(f"[{number}] {value}", flush=True)  # noqa: T201
    return names


if __name__ == "__main__":
    path, folder, *changes = sys.argv[1:]
    found = code_cells(Path(path))
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        found = [cell.replace(old, new) for cell in found]
    os.chdir(folder)
    asyncio.run(run(found))
