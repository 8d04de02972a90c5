import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmrot.errors import UserError
from mmrot.files import write_atomically

from .published import published_tables
from .record import Record, write_records

_EMPTY = '–'
# A table with more columns is transposed.
_MAX_COLUMNS = 8


def format_mean(values: Sequence[float], decimals: int = 2) -> str:
    """Format the mean and sample standard deviation of several runs.

    Args:
        values: One number per run.
        decimals: Number of decimals.

    Returns:
        The number, for several runs their mean, standard
        deviation and count.

    Example:
        >>> format_mean([40, 42])
        '41.00 ± 1.41 (n=2)'
    """
    if len(values) == 1:
        return f'{values[0]:.{decimals}f}'
    return f'{mean(values):.{decimals}f} ± {stdev(values):.{decimals}f} (n={len(values)})'


class ResultTable:
    """A published table next to the numbers measured on one dataset.

    A table that is not a published one has only measured numbers. Rows and columns
    without a number are omitted; columns that are named by numbers are sorted. Runs
    that differ only in their seed or their draw of training images are averaged.

    Args:
        records: Records of one table and one dataset.
        only_measured: Whether to omit rows and columns that were not measured.
        difference: Whether to show measured minus published numbers.

    Raises:
        UserError: If the records belong to several tables or datasets, or those of
            one cell to different experiments or to the same seed.
    """

    def __init__(
        self, records: Sequence[Record], only_measured: bool = False, difference: bool = False
    ) -> None:
        keys = {(r.table, r.data, r.images) for r in records}
        if len(keys) != 1:
            raise UserError(
                f'expected records of one table and one dataset: {sorted(keys, key=str)}'
            )
        name, self._data, self._images = keys.pop()
        unpublished = dict(title=name, columns=[], rows={})
        self.source = published_tables().get(name, unpublished)
        self._first = records[0]
        self.measured: dict[tuple[str, str], list[float]] = {}
        runs: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            for column, value in record.values.items():
                self.measured.setdefault((record.row, column), []).append(value)
                runs.setdefault((record.row, column), []).append(record)
        for cell, found in runs.items():
            _check_seeds(', '.join((name, *cell)), found)
        self._published = {
            (row, column): number
            for row, numbers in self.source['rows'].items()
            for column, number in zip(self.source['columns'], numbers, strict=True)
            if number is not None
        }
        self._decimals = max(
            (len(repr(number).partition('.')[2]) for number in self._published.values()),
            default=0,
        )
        kept = set(self.measured) if only_measured else {*self._published, *self.measured}
        rows = dict.fromkeys([*self.source['rows'], *(row for row, _ in self.measured)])
        columns = list(dict.fromkeys([*self.source['columns'], *(c for _, c in self.measured)]))
        if all(column.isdigit() for column in columns):  # such as k of kNN
            columns.sort(key=int)
        self._rows = [row for row in rows if any(row == r for r, _ in kept)]
        self._columns = [column for column in columns if any(column == c for _, c in kept)]
        self._kinds = ['published', 'measured'] + ['difference'] * difference

    @property
    def title(self) -> str:
        """Content and source of the table, and both datasets."""
        s = self.source
        measured = f'easured on {self._data} ({self._images} images).'
        if self._first.chance is not None:
            measured += (
                f' Chance: {self._first.chance:.2f} %, always the most frequent class: '
                f'{self._first.majority:.2f} %.'
            )
        if 'source' not in s:
            return f'{s["title"]}: m{measured}'
        published = f'{s["title"]} ({s["source"]}): {s["metric"]}. Published on {s["data"]}'
        return f'{published}, m{measured}'

    def layout(self) -> tuple[list[str], list[list[str]]]:
        """Lay out the cells.

        Returns:
            The header and the lines. Each line starts with the name of a row,
            or of a column if the table is transposed.
        """
        lines_of, columns_of = self._rows, self._columns
        transposed = len(self._columns) > _MAX_COLUMNS
        if transposed:
            lines_of, columns_of = columns_of, lines_of
        header, lines = [''], [[name] for name in lines_of]
        for kind in self._kinds:
            for column in columns_of:
                cells = [
                    self._cell(kind, *((column, line) if transposed else (line, column)))
                    for line in lines_of
                ]
                if any(cell != _EMPTY for cell in cells):
                    header.append(f'{column}, {kind}')
                    for line, cell in zip(lines, cells, strict=True):
                        line.append(cell)
        return header, lines

    def _cell(self, kind: str, row: str, column: str) -> str:
        published = self._published.get((row, column))
        values = self.measured.get((row, column))
        if kind == 'published' and published is not None:
            return f'{published:.{self._decimals}f}'
        if kind == 'measured' and values:
            # metrics of mmdet are fractions
            fractions = 'source' not in self.source and max(map(abs, values)) <= 1
            return format_mean(values, 4 if fractions else 2)
        if kind == 'difference' and values and published is not None:
            return f'{mean(values) - published:+.2f}'
        return _EMPTY

    def to_markdown(self) -> str:
        """Return the table without its title as Markdown."""
        header, lines = self.layout()
        table = Table(box=box.MARKDOWN)
        for name in header:
            table.add_column(Text(name))
        for line in lines:
            table.add_row(*map(Text, line))
        console = Console(file=io.StringIO(), width=10_000)
        with console.capture() as capture:
            console.print(table)
        return '\n'.join(line.strip() for line in capture.get().split('\n') if line.strip()) + '\n'

    def to_rich(self) -> Table:
        """Return the table without its title for a terminal, measured rows in bold."""
        header, lines = self.layout()
        table = Table()
        table.add_column('', overflow='fold')
        for name in header[1:]:
            table.add_column(Text(name.replace(', ', '\n')), justify='right')
        measured = {row for row, _ in self.measured}
        for line in lines:
            table.add_row(*map(Text, line), style='bold' if line[0] in measured else None)
        return table


def _check_seeds(cell: str, records: Sequence[Record]) -> None:
    """Check that the runs of a cell differ only in their seed and their draw.

    Raises:
        UserError: If they differ in another field or share both.
    """
    for field in records[0].experiment:
        values = sorted({str(record.experiment[field]) for record in records})
        if len(values) > 1:
            raise UserError(
                f'{cell}: cannot average runs of different experiments, {field} '
                f'{" and ".join(values)}.'
            )
    if len({(record.seed, record.sample) for record in records}) < len(records):
        seeds = [record.seed for record in records]
        raise UserError(f'{cell}: several runs have the same seed, {seeds}.')


def result_tables(records: Sequence[Record]) -> list[ResultTable]:
    """Build one table for each published table and dataset.

    Args:
        records: Records of any number of runs.

    Returns:
        The tables in the order of the records.
    """
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.table, record.data, record.images), []).append(record)
    return [ResultTable(group) for group in groups.values()]


def write_results(records: Sequence[Record], folder: str | Path, stem: str = 'results') -> None:
    """Write records to ``results.json`` and their tables to ``results.md``.

    Args:
        records: Records of any number of runs.
        folder: Output folder, created if it does not exist.
        stem: File name without suffix.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables = [f'{table.title}\n\n{table.to_markdown()}' for table in result_tables(records)]
    write_records(records, folder / f'{stem}.json')
    write_atomically(folder / f'{stem}.md', '\n'.join(tables))


def print_tables(records: Sequence[Record]) -> None:
    """Print the tables of records, in full width if the output is a log.

    Args:
        records: Records of any number of runs.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for table in result_tables(records):
        console.print(Text(table.title))  # Text, since names are not markup
        console.print(table.to_rich())
