"""One JSON file for each cell that was measured."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmrot.errors import UserError
from mmrot.results import write_atomically

_FIELDS = {
    *('table', 'row', 'column', 'value', 'seed', 'settings', 'config_sha256'),
    *('data', 'data_sha256', 'training_images', 'images', 'epochs', 'seconds'),
    *('machine', 'versions', 'date', 'command'),
}
# What is the same in all records of a cell; a seed is no part of a config's sha256.
_EXPERIMENT = ('config_sha256', 'pretraining_sha256', 'data_sha256')


def record_path(folder: str | Path, record: dict[str, Any]) -> Path:
    """Where a record is kept: ``<folder>/<settings>/<table>_<row>_<column>_seed<S>.json``."""
    words = '_'.join(str(record[key]) for key in ('table', 'row', 'column'))
    name = re.sub(r'\W+', '-', words.replace('_', '-')).strip('-')
    return Path(folder, record['settings']['name'], f'{name}_seed{record["seed"]}.json')


def write_record(folder: str | Path, record: dict[str, Any]) -> Path:
    """Write a record, all of it or nothing.

    Args:
        folder (str | Path): Of all records.
        record (dict): Of one cell.

    Returns:
        Path: The file.

    Raises:
        UserError: If a field is missing.
    """
    if missing := _FIELDS - set(record):
        raise UserError(f'record without {", ".join(sorted(missing))}')
    path = record_path(folder, record)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(sorted(record.items())), indent=2, ensure_ascii=False)
    write_atomically(path, text + '\n')
    return path


def read_records(folder: str | Path) -> list[dict[str, Any]]:
    """Read all records.

    Args:
        folder (str | Path): Of all records; there may be none.

    Returns:
        list[dict]: In the order of their files.

    Raises:
        UserError: If a file is no record; names it.
    """
    records = []
    for path in sorted(Path(folder).rglob('*.json')):
        try:
            record = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise UserError(f'{path}: expected a record ({error})') from None
        if not isinstance(record, dict) or not set(record) >= _FIELDS:
            raise UserError(f'{path}: expected a record with {", ".join(sorted(_FIELDS))}')
        records.append(record)
    return records


def group(records: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Sort records of one study by their cells.

    Args:
        records (Sequence[dict]): Of one data set and size.

    Returns:
        dict: (table, row, column) → one record a seed.

    Raises:
        UserError: If those of a cell are of different configs or images.
    """
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for record in records:
        key = (record['table'], record['row'], record['column'])
        cells.setdefault(key, []).append(record)
    for key, found in cells.items():
        if len({tuple(record.get(field) for field in _EXPERIMENT) for record in found}) > 1:
            raise UserError(
                f'{record_path("", found[0]).parent}: records of {", ".join(key)} are of '
                'different configs or images'
            )
    return cells
