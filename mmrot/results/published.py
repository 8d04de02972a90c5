import json
from functools import cache
from pathlib import Path
from typing import Any

from mmrot.errors import UserError


@cache
def published_tables() -> dict[str, dict[str, Any]]:
    """Read the published numbers.

    Returns:
        Name of each table, such as ``'table5'``, → a dict with ``source``,
        ``title``, ``data`` (the test data), ``metric``, ``columns`` and
        ``rows``, a dict from row to one number or None for each column.
    """
    return json.loads(Path(__file__).with_name('published.json').read_text(encoding='utf-8'))


def published_table(name: str) -> dict[str, Any]:
    """Return one published table.

    Args:
        name: Name of the table, such as ``'table5'``.

    Returns:
        The table, see :func:`published_tables`.

    Raises:
        UserError: If there is no such table.

    Example:
        >>> published_table('table5')['rows']['RotNet']
        [18.8, 31.7, 38.7, 38.2, 36.5]
    """
    if name not in published_tables():
        raise UserError(f'table {name!r}: expected one of {", ".join(published_tables())}')
    return published_tables()[name]
