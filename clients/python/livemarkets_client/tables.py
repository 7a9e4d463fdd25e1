"""Tables of what was recorded: CSV, and Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import Struct

__all__ = ["Table", "TableError", "columns_of", "table_in"]

_ROWS_AT_ONCE = 50_000
"""Of a row group of Parquet."""
_PRECISION, _SCALE = 38, 8
"""Of decimals in Parquet: no exchange here writes more than eight digits behind the point."""
Rows = Callable[[Sequence[Any]], None]
"""Adds a row, a value for each column."""
Table = Callable[[Path, dict[str, type]], AbstractContextManager[Rows]]
"""Opens a table in a file, with the types of its columns by name."""


class TableError(ValueError):
    """A table cannot be written."""


def columns_of(row: type[Struct]) -> dict[str, type]:
    """Return the columns of a struct's fields, in order: names and types."""
    hints = get_type_hints(row)
    return {name: _type_of(hints[name]) for name in row.__struct_fields__}


def table_in(path: Path, *, floats: bool) -> Table:
    """Return the kind of table that the name of a file asks for.

    Args:
        path: `.csv`, `.csv.gz` or `.parquet`.
        floats: whether prices and sizes are floating-point numbers in Parquet.

    Raises:
        TableError: the name ends otherwise, or Parquet cannot be written here.

    """
    if path.name.endswith((".csv", ".csv.gz")):
        return _csv
    if path.suffix == ".parquet":
        return _parquet(floats=floats)
    raise TableError(f"{path.name}: name a file that ends with .csv, .csv.gz or .parquet")


def _type_of(hint: Any) -> type:
    """Return the type of a column; one that may be empty is the same."""
    if isinstance(hint, UnionType):
        return _type_of(next(each for each in get_args(hint) if each is not type(None)))
    if hint in (Decimal, int, bool):
        return hint  # type: ignore[no-any-return]
    return list if getattr(hint, "__origin__", None) is list else str


@contextmanager
def _csv(path: Path, columns: dict[str, type]) -> Iterator[Rows]:
    """Open a CSV file: numbers with their digits, empty cells for nothing, lists as JSON."""
    lists = [at for at, kind in enumerate(columns.values()) if kind is list]
    encode = msgspec.json.Encoder(decimal_format="number").encode
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(columns)

        def add(row: Sequence[Any]) -> None:
            cells = [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]
            for at in lists:
                cells[at] = encode(cells[at]).decode()
            lines.writerow(cells)

        yield add


def _parquet(*, floats: bool) -> Table:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise TableError("Parquet needs pyarrow: pip install pyarrow, or write a .csv") from None
    number = pyarrow.float64() if floats else pyarrow.decimal128(_PRECISION, _SCALE)
    level = pyarrow.struct([("price", number), ("size", number)])
    kinds = {Decimal: number, bool: pyarrow.bool_(), str: pyarrow.string(), list: pyarrow.list_(level)}

    def kind_of(name: str, kind: type) -> Any:
        is_time = name == "ts" or name.endswith("_ts")
        return kinds.get(kind, pyarrow.timestamp("ms", tz="UTC") if is_time else pyarrow.int64())

    @contextmanager
    def opened(path: Path, columns: dict[str, type]) -> Iterator[Rows]:
        schema = pyarrow.schema([(name, kind_of(name, kind)) for name, kind in columns.items()])
        waiting: list[Sequence[Any]] = []
        with parquet.ParquetWriter(path, schema) as writer:

            def write() -> None:
                cells = list(zip(*waiting, strict=True)) or [()] * len(schema)
                try:
                    arrays = [
                        pyarrow.array(_cells(column, kind, floats=floats), field.type)
                        for column, kind, field in zip(cells, columns.values(), schema, strict=True)
                    ]
                except pyarrow.ArrowException as error:
                    raise TableError(f"{path.name}: {error}; try --floats, or write a .csv") from None
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
                waiting.clear()

            def add(row: Sequence[Any]) -> None:
                waiting.append(row)
                if len(waiting) >= _ROWS_AT_ONCE:
                    write()

            yield add
            write()

    return opened


def _cells(cells: Iterable[Any], kind: type, *, floats: bool) -> list[Any]:
    """Return the cells of a column as pyarrow takes them."""
    if kind is list:
        number = float if floats else Decimal
        return [
            [{"price": number(price), "size": number(size)} for price, size in levels] for levels in cells
        ]
    if kind is Decimal and floats:
        return [None if cell is None else float(cell) for cell in cells]
    return list(cells)
