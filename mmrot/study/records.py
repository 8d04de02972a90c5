"""One JSON file for each cell that was measured."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_FIELDS = {'table', 'row', 'column', 'value', 'seed', 'settings', 'data', 'config_sha256', 'date'}


def record_path(folder: str | Path, record: dict[str, Any]) -> Path:
    """Where a record is kept: ``<folder>/<settings>/<table>_<row>_<column>_seed<S>.json``."""
    words = '_'.join(str(record[key]) for key in ('table', 'row', 'column'))
    name = re.sub(r'[^A-Za-z0-9]+', '-', words).strip('-')
    return Path(folder, record['settings']['name'], f'{name}_seed{record["seed"]}.json')


def write_record(folder: str | Path, record: dict[str, Any]) -> Path:
    """Write a record, all of it or nothing.

    Args:
        folder (str | Path): Of all records.
        record (dict): Of one cell.

    Returns:
        Path: The file.

    Raises:
        ValueError: If a field is missing.
    """
    if missing := _FIELDS - set(record):
        raise ValueError(f'record without {", ".join(sorted(missing))}')
    path = record_path(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix('.tmp')
    text = json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True) + '\n'
    temporary.write_text(text, encoding='utf-8')
    temporary.replace(path)
    return path


def read_records(folder: str | Path) -> list[dict[str, Any]]:
    """Read all records.

    Args:
        folder (str | Path): Of all records; there may be none.

    Returns:
        list[dict]: In the order of their files.

    Raises:
        ValueError: If a file is no record; names it.
    """
    records = []
    for path in sorted(Path(folder).rglob('*.json')):
        try:
            record = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{path}: expected a record ({error})') from None
        if not isinstance(record, dict) or not set(record) >= _FIELDS:
            raise ValueError(f'{path}: expected a record with {", ".join(sorted(_FIELDS))}')
        records.append(record)
    return records


def group(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Sort records by their cells: (table, row, column) → one record a seed."""
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in records:
        key = (record['table'], record['row'], record['column'])
        cells.setdefault(key, []).append(record)
    return cells
