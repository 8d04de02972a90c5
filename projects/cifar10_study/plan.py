"""The runs of the study and the published cells that they fill."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mmrot.errors import UserError
from mmrot.results import published_table

RANDOM = 'random'
# Name of a pretraining run → its config and the angles it rotates by.
PRETRAININGS: dict[str, tuple[str, tuple[int, ...]]] = {
    'nin4': ('rotnet/nin4_cifar10.py', (0, 90, 180, 270)),
    'nin3': ('rotnet/nin3_cifar10.py', (0, 90, 180, 270)),
    'nin5': ('rotnet/nin5_cifar10.py', (0, 90, 180, 270)),
    'nin4_8': ('rotnet/nin4_cifar10.py', (0, 45, 90, 135, 180, 225, 270, 315)),
    'nin4_0_180': ('rotnet/nin4_cifar10.py', (0, 180)),
    'nin4_90_270': ('rotnet/nin4_cifar10.py', (90, 270)),
}
# Epochs of Figure 5a and labels per class of Figure 5b.
SNAPSHOTS = (20, 40, 60, 80, 100)
LABELS = (20, 100, 400, 1000, 5000)
# The metric of pretraining in Figure 5a; all others are of classifiers.
ROTATION = 'rotation/accuracy'


@dataclass(frozen=True)
class Settings:
    """Size and data of a study.

    Args:
        data: Folder with ``cifar-10-batches-py/`` or ``{train,test}/<class>/``.
        budget: Fraction of the paper's epochs, in (0, 1].
        width: Width of NIN, a multiple of 12; 192 in the paper.
        images_per_class: Training images per class; None uses all.

    Raises:
        UserError: If a value is out of range.
    """

    data: str
    budget: float = 1.0
    width: int = 192
    images_per_class: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise UserError(f'--budget {self.budget:g} is not in (0, 1].')
        if self.width < 12 or self.width % 12:
            raise UserError(f'--width {self.width} is not a multiple of 12.')
        if self.images_per_class is not None and self.images_per_class < 1:
            raise UserError(f'--images-per-class {self.images_per_class} is not positive.')

    @property
    def name(self) -> str:
        """Folder name, such as ``cifar10`` or ``cifar10_jpeg-budget0.1``."""
        parts = [Path(self.data).resolve().name]
        parts += [f'budget{self.budget}'] * (self.budget != 1)
        parts += [f'width{self.width}'] * (self.width != 192)
        parts += [f'{self.images_per_class}perclass'] * (self.images_per_class is not None)
        return '-'.join(parts)

    @property
    def reduced(self) -> dict[str, Any]:
        """The settings that differ from the paper's."""
        full = asdict(Settings(self.data))
        return {key: value for key, value in asdict(self).items() if value != full[key]}

    def epochs(self, epochs: int) -> int:
        """Scale a number of epochs by the budget, to at least one."""
        return max(1, round(epochs * self.budget))


@dataclass(frozen=True)
class Classifier:
    """A classifier trained on labels, and the published cells that it fills.

    Args:
        name: Name of the run.
        config: Name of the config in ``configs/benchmarks/classification/``.
        pretraining: One of :data:`PRETRAININGS`, or ``'random'``.
        fills: (table, row) → column → metric.
        snapshot: Epoch of pretraining, of 100.
        num_per_class: Labels per class; None uses all.
    """

    name: str
    config: str
    pretraining: str
    fills: dict[tuple[str, str], dict[str, str]]
    snapshot: int = 100
    num_per_class: int | None = None

    @property
    def cells(self) -> list[tuple[str, str, str]]:
        """Table, row and column of each cell."""
        return [(*key, column) for key, columns in self.fills.items() for column in columns]

    @property
    def tables(self) -> list[dict[str, Any]]:
        """The tables of :class:`mmrot.ResultTableHook`."""
        return [
            dict(table=table, row=row, random_row=row, metrics=columns)
            for (table, row), columns in self.fills.items()
            if ROTATION not in columns.values()
        ]


# Column → metric.
_BLOCKS = {f'conv{block}': f'conv{block}/top1' for block in range(1, 6)}
_THREE, _FOUR = (dict(list(_BLOCKS.items())[:count]) for count in (3, 4))
_ACCURACY = {'accuracy': 'conv2/top1'}
_CLASSES = {name: f'conv2/top1/{name}' for name in published_table('table9')['columns']}

# Name, config, pretraining; the most informative ones first.
_RUNS: list[tuple[str, str, str, dict[str, int]]] = [
    ('conv', 'nin4_conv', 'nin4', {}),
    ('supervised', 'nin3_supervised', RANDOM, {}),
    ('nonlinear_nin4', 'nin4_nonlinear', 'nin4', {}),
    ('conv_random', 'nin4_conv', RANDOM, {}),
    ('nonlinear_random', 'nin4_nonlinear', RANDOM, {}),
    *(
        run
        for count in LABELS
        for run in (
            (f'semi_{count}', 'nin4_semi_supervised', 'nin4', {'num_per_class': count}),
            (f'subset_{count}', 'nin3_supervised_subset', RANDOM, {'num_per_class': count}),
        )
    ),
    ('conv_finetuned', 'nin4_conv_finetuned', 'nin4', {}),
    ('nonlinear_finetuned', 'nin4_nonlinear_finetuned', 'nin4', {}),
    ('nonlinear_nin3', 'nin3_nonlinear', 'nin3', {}),
    ('nonlinear_nin5', 'nin5_nonlinear', 'nin5', {}),
    ('nonlinear_nin4_8', 'nin4_nonlinear', 'nin4_8', {}),
    ('nonlinear_nin4_0_180', 'nin4_nonlinear', 'nin4_0_180', {}),
    ('nonlinear_nin4_90_270', 'nin4_nonlinear', 'nin4_90_270', {}),
    *(
        (f'nonlinear_nin4_{epoch}', 'nin4_nonlinear', 'nin4', {'snapshot': epoch})
        for epoch in SNAPSHOTS[:-1]
    ),
]
# Table, row, columns, and the run that fills them.
_CELLS: list[tuple[str, str, dict[str, str], str]] = [
    ('table1', 'RotNet, 3 blocks', _THREE, 'nonlinear_nin3'),
    ('table1', 'RotNet, 4 blocks', _FOUR, 'nonlinear_nin4'),
    ('table1', 'RotNet, 5 blocks', _BLOCKS, 'nonlinear_nin5'),
    ('table1', 'random, 4 blocks', _FOUR, 'nonlinear_random'),  # not in the paper
    ('table3', 'supervised NIN', _ACCURACY, 'supervised'),
    ('table3', 'random init. + conv', _ACCURACY, 'conv_random'),
    ('table3', 'RotNet + non-linear', _ACCURACY, 'nonlinear_nin4'),
    ('table3', 'RotNet + conv', _ACCURACY, 'conv'),
    ('table3', 'RotNet + non-linear, fine-tuned', _ACCURACY, 'nonlinear_finetuned'),
    ('table3', 'RotNet + conv, fine-tuned', _ACCURACY, 'conv_finetuned'),
    ('table2', '4 rotations: 0, 90, 180, 270', _ACCURACY, 'nonlinear_nin4'),
    ('table2', '8 rotations: 0, 45, 90, 135, 180, 225, 270, 315', _ACCURACY, 'nonlinear_nin4_8'),
    ('table2', '2 rotations: 0, 180', _ACCURACY, 'nonlinear_nin4_0_180'),
    ('table2', '2 rotations: 90, 270', _ACCURACY, 'nonlinear_nin4_90_270'),
    ('table9', 'supervised NIN', _CLASSES, 'supervised'),
    ('table9', 'RotNet + conv', _CLASSES, 'conv'),
    *(
        ('figure5a', row, {str(epoch): metric}, f'nonlinear_nin4_{epoch}'.removesuffix('_100'))
        for epoch in SNAPSHOTS
        for row, metric in (
            ('object recognition', 'conv2/top1'),
            ('rotation prediction', ROTATION),
        )
    ),
    *(
        ('figure5b', row, {str(count): 'conv2/top1'}, f'{name}_{count}')
        for count in LABELS
        for row, name in (('semi-supervised', 'semi'), ('supervised', 'subset'))
    ),
]
CLASSIFIERS = tuple(
    Classifier(
        name,
        f'{config}_cifar10.py',
        pretraining,
        {(table, row): columns for table, row, columns, run in _CELLS if run == name},
        **more,
    )
    for name, config, pretraining, more in _RUNS
)


def select(only: Sequence[str] = (), cells: Sequence[str] = ()) -> list[Classifier]:
    """Return the classifiers that fill the given tables or cells.

    Args:
        only: Names of tables and figures, such as ``'table3'``.
        cells: ``TABLE/ROW/COLUMN`` with wildcards, such as ``'table3/RotNet*'``;
            a missing column means any column.

    Returns:
        The classifiers in the order of the plan; all of them if neither
        argument is given.

    Raises:
        UserError: If a table or pattern selects nothing.
    """
    tables = dict.fromkeys(cell[0] for run in CLASSIFIERS for cell in run.cells)
    for table in only:
        if table not in tables:
            raise UserError(f'--only {table}: expected {", ".join(tables)}')
    patterns = [f'{table}/*' for table in only]
    patterns += [cell if cell.count('/') == 2 else f'{cell}/*' for cell in cells]
    names = {run.name: ['/'.join(cell) for cell in run.cells] for run in CLASSIFIERS}
    known = [name for found in names.values() for name in found]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in known):
            raise UserError(f'--cells {pattern}: none of {", ".join(known)}')
    return [
        run
        for run in CLASSIFIERS
        if not patterns or any(fnmatch(n, p) for n in names[run.name] for p in patterns)
    ]
