import platform
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset
from torch.utils.data import Dataset

from mmrot.evaluation.result_table import (
    print_tables,
    published_table,
    read_results,
    write_results,
)
from mmrot.registry import HOOKS

from .load_backbone_hook import LoadBackboneHook

_PACKAGES = ('torch', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmpretrain')
_NUM_PER_CLASS = 'num_per_class'


@HOOKS.register_module()
class ResultTableHook(Hook):
    """End a run with the source's table, the measured row beside the published one.

    Prints it and writes ``results.json`` and ``results.md`` in the work
    directory: a record for each table, with the accuracies of the last epoch,
    the data that they were measured on, the checkpoint, the epochs, the seed,
    the machine, the versions and the command.

    Args:
        tables (Sequence[dict]): The tables that the run fills. Each has
            ``table``, a name of :func:`mmrot.evaluation.published_tables`;
            ``row``, the row of a pretrained backbone; ``random_row``, that of
            ``checkpoint=random``; and where a column is not filled by the metric
            ``<column>/top1``, ``columns``, a dict from column to metric. The
            column ``'num_per_class'`` stands for that number of the training
            data, :class:`mmrot.PerClassSubset`.

    Raises:
        ValueError: If there is no such table or column.
    """

    def __init__(self, tables: Sequence[dict[str, Any]]) -> None:
        for entry in tables:
            columns = published_table(entry['table'])['columns']
            unknown = set(entry.get('columns', ())) - {*columns, _NUM_PER_CLASS}
            if unknown:
                raise ValueError(
                    f'columns {", ".join(sorted(unknown))} of {entry["table"]}: '
                    f'expected {", ".join(columns)}'
                )
        self.tables = tables
        self.metrics: dict[str, float] | None = None

    def before_train(self, runner: Runner) -> None:
        """Refuse to write over the results of another run.

        Raises:
            ValueError: If the work directory holds results and the training
                was not resumed.
        """
        self.start = time.time()
        path = Path(runner.work_dir) / 'results.json'
        if runner.iter == 0 and path.exists():
            raise ValueError(
                f'{path} holds the results of an earlier run: expected --resume, or another '
                '--work-dir'
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics of the latest epoch."""
        self.metrics = metrics

    def after_train(self, runner: Runner) -> None:
        """Write the results and print the tables."""
        if not is_main_process():
            return
        work_dir = Path(runner.work_dir)
        if self.metrics is None:  # a finished run was resumed, or nothing was validated
            if (work_dir / 'results.json').exists():
                print_tables(read_results(work_dir))
            return
        train = runner.train_dataloader
        records = self._records(
            runner,
            self.metrics,
            runner.val_loop.dataloader.dataset,
            epochs=runner.epoch,
            samples_per_epoch=len(train.dataset),
            batch_size=train.batch_size * get_world_size(),
            seconds=round(time.time() - self.start),
        )
        write_results(records, work_dir)
        print_tables(records)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the tables of a checkpoint that is tested."""
        if is_main_process() and metrics:
            print_tables(self._records(runner, metrics, runner.test_loop.dataloader.dataset))

    def _records(
        self, runner: Runner, metrics: dict[str, float], dataset: Dataset, **training: Any
    ) -> list[dict[str, Any]]:
        checkpoint = next(
            (hook.checkpoint for hook in runner.hooks if isinstance(hook, LoadBackboneHook)), None
        )
        data, images = data_name(dataset)
        return [
            dict(
                table=entry['table'],
                row=entry['random_row' if checkpoint == 'random' else 'row'],
                values=_values(entry, metrics, runner.cfg),
                data=data,
                images=images,
                checkpoint=checkpoint,
                config=Path(runner.cfg.filename or '').name,
                **training,
                seed=runner.seed,
                processes=get_world_size(),
                device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
                machine=f'{platform.system()} {platform.machine()}',
                versions={name: version(name) for name in _PACKAGES},
                date=datetime.now(timezone.utc).strftime('%Y-%m-%d'),
                command=shlex.join(sys.argv),
            )
            for entry in self.tables
        ]


def _values(entry: dict[str, Any], metrics: dict[str, float], cfg: Config) -> dict[str, float]:
    """Pick the metrics that fill the columns of a table."""
    if 'columns' not in entry:
        columns = published_table(entry['table'])['columns']
        return {c: metrics[f'{c}/top1'] for c in columns if f'{c}/top1' in metrics}
    return {
        str(cfg.train_dataloader.dataset.num_per_class)
        if column == _NUM_PER_CLASS
        else column: metrics[metric]
        for column, metric in entry['columns'].items()
    }


def data_name(dataset: Dataset) -> tuple[str, int]:
    """Name the data that a number is measured on.

    Args:
        dataset (Dataset): Images, or a wrapper with a ``dataset``.

    Returns:
        tuple[str, int]: The folder's name of a folder of images per class, the
        class's name of any other data set; and how many images there are.
    """
    images = len(dataset)
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if type(dataset) is CustomDataset:
        return Path(dataset.data_root).resolve().name, images
    return type(dataset).__name__, images
