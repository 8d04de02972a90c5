"""Tables in the layout of the sources, published and measured numbers apart."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmrot.errors import UserError

# Shown where nothing was published, or nothing measured.
NOT_PUBLISHED = '–'
NOT_RUN = 'not run'
# A table of more columns stands on its side.
_WIDEST = 10
# What the runs that are averaged have in common.
_EXPERIMENT = (
    'checkpoint',
    'config',
    'epochs',
    'iterations',
    'samples_per_epoch',
    'batch_size',
)


@cache
def published_tables() -> dict[str, dict[str, Any]]:
    """Read the published numbers.

    Returns:
        dict[str, dict]: Name of the table, such as ``'table5'`` → ``source``,
        ``title``, ``data`` (what it was published for), ``metric``, ``columns``
        and ``rows``, a dict from row to one number or None for each column.
    """
    return json.loads(Path(__file__).with_name('published.json').read_text(encoding='utf-8'))


def published_table(name: str) -> dict[str, Any]:
    """Give one table of the published numbers.

    Args:
        name (str): Such as ``'table5'``.

    Returns:
        dict: As in :func:`published_tables`.

    Raises:
        UserError: If there is no such table; names those that exist.
    """
    if name not in published_tables():
        raise UserError(f'table {name!r}: expected one of {", ".join(published_tables())}')
    return published_tables()[name]


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """Read the records that a run left.

    Args:
        path (str | Path): Work directory of a run, or its ``results.json``.

    Returns:
        list[dict]: One record for each table that the run fills, see
        :class:`mmrot.ResultTableHook`.

    Raises:
        FileNotFoundError: If there is none; names the file.
        UserError: If the file holds something else.
    """
    path = Path(path)
    if path.is_dir():
        path = path / 'results.json'
    try:
        records = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise FileNotFoundError(f'{path} does not exist: the run has not finished') from None
    except ValueError as error:
        raise UserError(f'{path}: expected the results of a run ({error})') from None
    wanted = {'table', 'row', 'data', 'images', 'values'}
    if (
        not isinstance(records, list)
        or not records
        or not all(isinstance(r, dict) and wanted <= set(r) for r in records)
        or not all(isinstance(v, int | float) for r in records for v in r['values'].values())
    ):
        raise UserError(f'{path}: expected records with {", ".join(sorted(wanted))}')
    return records


class ResultTable:
    """A published table, and what runs on one data set measured for it.

    Every row of the source stands beside the measured one: first the published
    columns, then the measured ones, which are named after their data.

    Args:
        records (Sequence[dict]): Records of the same table and data. Several of
            one cell become mean ± sample standard deviation: runs of several
            seeds of one experiment.

    Raises:
        UserError: If there is none, they are of different tables or data, or
            those of one cell are of different experiments or of one seed.
    """

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        kinds = {(r['table'], r['data'], r['images']) for r in records}
        if len(kinds) != 1:
            raise UserError(
                f'expected records of one table and one data set: {sorted(kinds, key=str)}'
            )
        name, data, images = kinds.pop()
        self.published = published_table(name)
        self.data = f'{data} ({images} images)'
        self.columns = list(self.published['columns'])
        self.measured: dict[str, dict[str, list[float]]] = {}
        runs: dict[tuple[str, str], list[dict]] = {}
        for record in records:
            row = self.measured.setdefault(record['row'], {})
            for column, value in record['values'].items():
                if column not in self.columns:
                    self.columns.append(column)
                row.setdefault(column, []).append(value)
                runs.setdefault((record['row'], column), []).append(record)
        for cell, together in runs.items():
            _check_one_experiment(', '.join((name, *cell)), together)

    @property
    def title(self) -> str:
        """What the table shows, and on which data."""
        p = self.published
        return (
            f'{p["title"]} ({p["source"]}): {p["metric"]}. '
            f'Published on {p["data"]}, measured on {self.data}.'
        )

    def _measured_cell(self, row: str, column: str) -> str:
        values = self.measured.get(row, {}).get(column)
        if not values:
            return NOT_RUN
        if len(values) == 1:
            return f'{values[0]:.2f}'
        return f'{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} (n={len(values)})'

    def rows(self) -> list[list[str]]:
        """Lay out the cells.

        Returns:
            list[list[str]]: For each row its name, the published cells and the
            measured cells; the rows of the source first, in its order.
        """
        width = len(self.columns)
        decimals = max(
            (
                len(repr(value).partition('.')[2])
                for values in self.published['rows'].values()
                for value in values
                if value is not None
            ),
            default=0,
        )
        published = {
            name: values + [None] * (width - len(values))
            for name, values in self.published['rows'].items()
        }
        names = [*published, *(row for row in self.measured if row not in published)]
        return [
            [
                name,
                *(
                    NOT_PUBLISHED if value is None else f'{value:.{decimals}f}'
                    for value in published.get(name, [None] * width)
                ),
                *(self._measured_cell(name, column) for column in self.columns),
            ]
            for name in names
        ]

    def layout(self) -> tuple[list[str], list[list[str]]]:
        """Lay out the whole table.

        Returns:
            tuple[list[str], list[list[str]]]: The header and the lines. A table
            of many columns stands on its side: then a line is a column of the
            source, and rows that were neither published nor measured have none.
        """
        kinds = ('published', 'measured')
        if len(self.columns) <= _WIDEST:
            header = [f'{column}, {kind}' for kind in kinds for column in self.columns]
            return ['', *header], self.rows()
        width = len(self.columns)
        shown = {
            'published': [row for row in self.rows() if row[0] in self.published['rows']],
            'measured': [row for row in self.rows() if row[0] in self.measured],
        }
        header = [f'{row[0]}, {kind}' for kind in kinds for row in shown[kind]]
        lines = [
            [column, *(row[1 + i] for row in shown['published'])]
            + [row[1 + width + i] for row in shown['measured']]
            for i, column in enumerate(self.columns)
        ]
        return ['', *header], lines

    def to_markdown(self) -> str:
        """Write the table as Markdown, with its title as a paragraph."""
        header, lines = self.layout()
        lines = [header, ['---'] * len(header), *lines]
        return '\n'.join([self.title, '', *(f'| {" | ".join(line)} |' for line in lines), ''])

    def to_rich(self) -> Table:
        """Draw the table for a terminal; measured rows are bold."""
        header, lines = self.layout()
        table = Table(title=Text(self.title), title_justify='left')  # a name is no markup
        table.add_column('', overflow='fold')
        for name in header[1:]:
            table.add_column(Text(name.replace(', ', '\n')), justify='right')
        for line in lines:
            table.add_row(*map(Text, line), style='bold' if line[0] in self.measured else None)
        return table


def _check_one_experiment(cell: str, records: Sequence[dict[str, Any]]) -> None:
    """Refuse to average runs that differ in more than the seed.

    Raises:
        UserError: Names the cell and what differs.
    """
    for field in _EXPERIMENT:
        values = sorted({str(record.get(field)) for record in records})
        if len(values) > 1:
            raise UserError(
                f'{cell}: runs of different experiments, {field} {" and ".join(values)}; expected '
                'runs that differ in their seed alone'
            )
    seeds = [record.get('seed') for record in records]
    if len(set(seeds)) < len(seeds):
        raise UserError(f'{cell}: two runs of one seed among {seeds}')


def result_tables(records: Sequence[dict[str, Any]]) -> list[ResultTable]:
    """Sort records into tables, one for each published table and data set.

    Args:
        records (Sequence[dict]): Of any number of runs.

    Returns:
        list[ResultTable]: In the order in which the records name them.
    """
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for record in records:
        key = (record['table'], record['data'], record['images'])
        groups.setdefault(key, []).append(record)
    return [ResultTable(group) for group in groups.values()]


def write_results(
    records: Sequence[dict[str, Any]], folder: str | Path, stem: str = 'results'
) -> None:
    """Write records to ``results.json`` and their tables to ``results.md``.

    Args:
        records (Sequence[dict]): Of any number of runs.
        folder (str | Path): Made where it does not exist.
        stem (str): In place of ``results``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = '\n'.join(table.to_markdown() for table in result_tables(records))
    (folder / f'{stem}.md').write_text(tables, encoding='utf-8')
    write_json(records, folder / f'{stem}.json')


def write_json(content: Any, path: Path) -> None:
    """Write a file, all of it or nothing."""
    temporary = path.with_suffix('.tmp')
    text = json.dumps(content, indent=2, ensure_ascii=False) + '\n'
    temporary.write_text(text, encoding='utf-8')
    temporary.replace(path)


def print_tables(records: Sequence[dict[str, Any]]) -> None:
    """Print the tables of records on the terminal, or whole into a log."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for table in result_tables(records):
        console.print(table.to_rich())
