"""What the study consists of: pretrainings, evaluations and the cells they fill."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path

from mmrot.errors import UserError
from mmrot.results import published_table

# Name of a pretraining → its config and what differs from it.
PRETRAININGS: dict[str, tuple[str, dict]] = {
    'nin4': ('rotnet/nin4_cifar10.py', {}),
    'nin3': ('rotnet/nin3_cifar10.py', {}),
    'nin5': ('rotnet/nin5_cifar10.py', {}),
    'nin4_8': (
        'rotnet/nin4_cifar10.py',
        {'model': {'angles': (0, 45, 90, 135, 180, 225, 270, 315)}},
    ),
    'nin4_0_180': ('rotnet/nin4_cifar10.py', {'model': {'angles': (0, 180)}}),
    'nin4_90_270': ('rotnet/nin4_cifar10.py', {'model': {'angles': (90, 270)}}),
}
RANDOM = 'random'
# The row of figure 5a that the pretraining itself fills.
ROTATION = 'rotation prediction'
# The epochs of figure 5a, and the labels per class of figure 5b.
SNAPSHOTS = (20, 40, 60, 80, 100)
LABELS = (20, 100, 400, 1000, 5000)
_PROBES = 'benchmarks/classification'


@dataclass(frozen=True)
class Settings:
    """How large the study is, and on which data.

    Args:
        data (str): ``cifar-10-batches-py``'s folder, or one with
            ``{train,test}/<class>/``.
        budget (float): Fraction of the epochs, above 0 and at most 1.
        width (int): Of NIN; 192 is the paper's.
        images_per_class (int, optional): Training images; None takes all.
    """

    data: str
    budget: float = 1.0
    width: int = 192
    images_per_class: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise UserError(f'--budget {self.budget:g}: expected above 0 and at most 1')
        if self.width < 12 or self.width % 12:
            raise UserError(f'--width {self.width}: expected a multiple of 12')
        if self.images_per_class is not None and self.images_per_class < 1:
            raise UserError(f'--images-per-class {self.images_per_class}: expected 1 or more')

    @property
    def name(self) -> str:
        """Name of the settings, for folders: ``cifar10``, ``cifar10_jpeg-budget0.1``."""
        parts = [Path(self.data).resolve().name]
        parts += [f'budget{self.budget}'] * (self.budget != 1)
        parts += [f'width{self.width}'] * (self.width != 192)
        parts += [f'{self.images_per_class}perclass'] * (self.images_per_class is not None)
        return '-'.join(parts)

    @property
    def reduced(self) -> dict:
        """What is smaller than in the paper."""
        full = asdict(Settings(self.data))
        return {key: value for key, value in asdict(self).items() if value != full[key]}

    def epochs(self, epochs: int) -> int:
        """Scale a number of epochs by the budget, to at least one."""
        return max(1, round(epochs * self.budget))


@dataclass(frozen=True)
class Evaluation:
    """One training on labels, and the cells of the paper that it fills.

    Args:
        name (str): Of the run.
        config (str): Below ``configs/``.
        pretraining (str): One of ``PRETRAININGS``, or ``'random'``.
        tables (Sequence[dict]): As of :class:`mmrot.ResultTableHook`; every row
            is named ``row``.
        cells (Sequence[tuple[str, str, str]]): Table, row and column of each.
        snapshot (int, optional): Epoch of the pretraining, of 100; the last one
            by default.
        num_per_class (int, optional): Labels per class.
    """

    name: str
    config: str
    pretraining: str
    tables: Sequence[dict]
    cells: Sequence[tuple[str, str, str]] = ()
    snapshot: int | None = None
    num_per_class: int | None = None


def _table(table: str, row: str, **kwargs) -> dict:
    return dict(table=table, row=row, random_row=row, **kwargs)


def _evaluation(name: str, config: str, pretraining: str, *tables: dict, **kwargs) -> Evaluation:
    """Make an evaluation, with the cells that its tables say."""
    cells = []
    for table in tables:
        columns = published_table(table['table'])['columns']
        if 'columns' in table:
            columns = list(table['columns'])
        elif table['table'] == 'table1':
            columns = columns[: int(table['row'].split()[1])]
        cells += [(table['table'], table['row'], column) for column in columns]
        if table['table'] == 'figure5a':
            cells += [('figure5a', ROTATION, column) for column in columns]
    if kwargs.get('num_per_class'):
        row = tables[0]['row']
        cells = [('figure5b', row, str(kwargs['num_per_class']))]
    return Evaluation(name, f'{_PROBES}/{config}.py', pretraining, tables, cells, **kwargs)


def _accuracy(table: str, row: str, column: str = 'accuracy') -> dict:
    return _table(table, row, columns={column: 'conv2'})


def _per_class(row: str) -> dict:
    return _table('table9', row, classes='conv2/top1/')


# The most telling ones first.
EVALUATIONS: tuple[Evaluation, ...] = (
    _evaluation(
        'conv',
        'nin4_conv_cifar10',
        'nin4',
        _accuracy('table3', 'RotNet + conv'),
        _per_class('RotNet + conv'),
    ),
    _evaluation(
        'supervised',
        'nin3_supervised_cifar10',
        RANDOM,
        _accuracy('table3', 'supervised NIN'),
        _per_class('supervised NIN'),
    ),
    _evaluation(
        'nonlinear_nin4',
        'nin4_nonlinear_cifar10',
        'nin4',
        _table('table1', 'RotNet, 4 blocks'),
        _accuracy('table3', 'RotNet + non-linear'),
        _accuracy('table2', '4 rotations: 0, 90, 180, 270'),
        _accuracy('figure5a', 'object recognition', '100'),
    ),
    _evaluation(
        'conv_random', 'nin4_conv_cifar10', RANDOM, _accuracy('table3', 'random init. + conv')
    ),
    # not in the paper: what block by block the architecture alone gives
    _evaluation(
        'nonlinear_random', 'nin4_nonlinear_cifar10', RANDOM, _table('table1', 'random, 4 blocks')
    ),
    *(
        _evaluation(
            f'{name}_{count}',
            config,
            pretraining,
            _table('figure5b', row, columns={'num_per_class': 'conv2'}),
            num_per_class=count,
        )
        for count in LABELS
        for name, config, pretraining, row in (
            ('semi', 'nin4_semi_supervised_cifar10', 'nin4', 'semi-supervised'),
            ('subset', 'nin3_supervised_subset_cifar10', RANDOM, 'supervised'),
        )
    ),
    _evaluation(
        'conv_finetuned',
        'nin4_conv_finetuned_cifar10',
        'nin4',
        _accuracy('table3', 'RotNet + conv, fine-tuned'),
    ),
    _evaluation(
        'nonlinear_finetuned',
        'nin4_nonlinear_finetuned_cifar10',
        'nin4',
        _accuracy('table3', 'RotNet + non-linear, fine-tuned'),
    ),
    *(
        _evaluation(
            f'nonlinear_nin{blocks}',
            f'nin{blocks}_nonlinear_cifar10',
            f'nin{blocks}',
            _table('table1', f'RotNet, {blocks} blocks'),
        )
        for blocks in (3, 5)
    ),
    *(
        _evaluation(
            f'nonlinear_{pretraining}',
            'nin4_nonlinear_cifar10',
            pretraining,
            _accuracy('table2', row),
        )
        for pretraining, row in (
            ('nin4_8', '8 rotations: 0, 45, 90, 135, 180, 225, 270, 315'),
            ('nin4_0_180', '2 rotations: 0, 180'),
            ('nin4_90_270', '2 rotations: 90, 270'),
        )
    ),
    *(
        _evaluation(
            f'nonlinear_nin4_{epoch}',
            'nin4_nonlinear_cifar10',
            'nin4',
            _accuracy('figure5a', 'object recognition', str(epoch)),
            snapshot=epoch,
        )
        for epoch in SNAPSHOTS[:-1]
    ),
)


def select(only: Sequence[str] = (), cells: Sequence[str] = ()) -> list[Evaluation]:
    """Choose evaluations.

    Args:
        only (Sequence[str]): Tables and figures, such as ``'table3'``; none
            chooses all.
        cells (Sequence[str]): ``TABLE/ROW/COLUMN``, with wildcards, such as
            ``'table3/RotNet*'``; what is left out is ``*``.

    Returns:
        list[Evaluation]: Those that fill one of them, the most telling ones first.

    Raises:
        UserError: If one chooses nothing; names the tables, or the cells.
    """
    tables = dict.fromkeys(cell[0] for run in EVALUATIONS for cell in run.cells)
    for table in only:
        if table not in tables:
            raise UserError(f'--only {table}: expected {", ".join(tables)}')
    patterns = [f'{table}/*' for table in only]
    patterns += [cell if cell.count('/') == 2 else f'{cell}/*' for cell in cells]
    names = {run.name: ['/'.join(cell) for cell in run.cells] for run in EVALUATIONS}
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for found in names.values() for name in found):
            known = ', '.join(name for found in names.values() for name in found)
            raise UserError(f'--cells {pattern}: none of {known}')
    return [
        run
        for run in EVALUATIONS
        if not patterns or any(fnmatch(n, p) for n in names[run.name] for p in patterns)
    ]
