import os
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.datasets import VOC, CustomDataset
from torch.utils.data import Dataset

from mmrot.errors import UserError
from mmrot.models import LayerProbes
from mmrot.registry import HOOKS
from mmrot.results.table import (
    print_tables,
    published_table,
    read_results,
    write_results,
)

from .load_backbone_hook import RANDOM, RANDOM_RESCALED, LoadBackboneHook

_PACKAGES = (
    'mmrot',
    'torch',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmpretrain',
    'onedl-mmdetection',
    'onedl-mmsegmentation',
)
# Which row of a table a backbone that was not pretrained fills, and the default names.
_ROWS = {RANDOM: 'random_row', RANDOM_RESCALED: 'random_rescaled_row'}
_NAMES = {'row': 'RotNet', 'random_row': 'random', 'random_rescaled_row': 'random rescaled'}
_NUM_PER_CLASS = 'num_per_class'
# Whose data sets are told apart by their folders.
_BY_FOLDER = ('mmdet.', 'mmseg.', 'mmrot.detection')


@HOOKS.register_module()
class ResultTableHook(Hook):
    """End a run with the source's table, the measured row beside the published one.

    Prints it and writes ``results.json`` and ``results.md`` in the work
    directory: a record for each table, with the accuracies of the last epoch,
    the data that they were measured on, the checkpoint, the epochs, the seed,
    the machine, the versions and the command.

    Args:
        tables (Sequence[dict]): The tables that the run fills. Each has
            ``table``, a name of ``mmrot/results/published.json``; ``row``, the
            row of a pretrained backbone, by default ``'RotNet'``; ``random_row``,
            that of ``checkpoint=random``, by default ``'random'``; and
            ``random_rescaled_row``, ``'random rescaled'``. What fills the columns:

            - of probes nothing, each stage has a column of its name; or
              ``columns``, a dict from column to stage. The column
              ``'num_per_class'`` stands for that number of the training data,
              :class:`mmrot.PerClassSubset`;
            - else ``metrics``, a dict from column to metric; ``classes``, the
              beginning of the metrics whose columns have the rest of their names;
              ``scale``, a factor for both, 100 for percent.

    Raises:
        UserError: If there is no such table or column.
    """

    def __init__(self, tables: Sequence[dict[str, Any]]) -> None:
        for entry in tables:
            columns = published_table(entry['table'])['columns']
            named = {*entry.get('columns', ()), *entry.get('metrics', ())}
            unknown = named - {*columns, _NUM_PER_CLASS}
            if unknown:
                raise UserError(
                    f'columns {", ".join(sorted(unknown))} of {entry["table"]}: '
                    f'expected {", ".join(columns)}'
                )
        self.tables = tables
        self.metrics: dict[str, float] | None = None
        self.num_per_class: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Refuse what could not end in a table, or would write over another run.

        Raises:
            UserError: If the work directory holds another run and this one was
                not resumed, a table asks for a stage that has no probe, or the
                last batch would have a single image.
        """
        self.start = time.time()
        dataset = runner.cfg.train_dataloader.dataset
        while _NUM_PER_CLASS not in dataset and 'dataset' in dataset:
            dataset = dataset.dataset
        self.num_per_class = dataset.get(_NUM_PER_CLASS)
        work_dir = Path(runner.work_dir)
        for name in ('results.json', 'last_checkpoint'):
            if runner.iter == 0 and (work_dir / name).exists():
                raise UserError(
                    f'{work_dir / name} is of an earlier run: expected --resume, or another '
                    '--work-dir'
                )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if isinstance(getattr(model, 'head', None), LayerProbes):
            self._check_probes(runner, model.head)

    def _check_probes(self, runner: Runner, head: LayerProbes) -> None:
        for entry in self.tables:
            wanted = entry.get('columns', {})
            if _NUM_PER_CLASS in wanted and self.num_per_class is None:
                raise UserError(f'{entry["table"]}: expected training data mmrot.PerClassSubset')
            missing = set(wanted.values()) - set(head.probes)
            if missing:
                raise UserError(
                    f'{entry["table"]} wants a probe of {", ".join(sorted(missing))}: there are '
                    f'{", ".join(head.probes)}; set custom_hooks'
                )
        loader = runner.train_dataloader
        if len(loader.sampler) % loader.batch_size == 1 and not loader.drop_last:
            raise UserError(
                f'{len(loader.sampler)} images in batches of {loader.batch_size} leave one image, '
                'which batch norm cannot train on: expected another train_dataloader.batch_size, '
                'or train_dataloader.drop_last=True'
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the metrics of the latest epoch."""
        self.metrics = metrics

    def after_train(self, runner: Runner) -> None:
        """Write the results and print the tables."""
        work_dir = Path(runner.work_dir)
        if self.metrics is None:  # a resumed run had no epoch left to train
            if (work_dir / 'results.json').exists():
                if is_main_process():
                    print_tables(read_results(work_dir))
                return
            if runner.val_loop is None:
                print_log('Nothing was validated: there is no table', logger='current')
                return
            self.metrics = runner.val_loop.run()
        if not is_main_process():
            return
        train = runner.train_dataloader
        records = self._records(
            runner,
            self.metrics,
            runner.val_loop.dataloader.dataset,
            epochs=runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else None,
            iterations=runner.iter,
            samples_per_epoch=len(train.dataset),
            batch_size=runner.cfg.train_dataloader.batch_size * get_world_size(),
            seconds_since_start=round(time.time() - self.start),
        )
        write_results(records, work_dir)
        print_tables(records)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note with how many labels per class it was trained."""
        checkpoint['meta'][_NUM_PER_CLASS] = self.num_per_class

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Learn with how many labels per class a checkpoint was trained."""
        self.num_per_class = (checkpoint.get('meta') or {}).get(_NUM_PER_CLASS)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the tables of a checkpoint that is tested, if it says what it is."""
        if not is_main_process() or not metrics:
            return
        if _origin(runner) is None:
            print_log('The checkpoint does not say its backbone: no table', logger='current')
            return
        print_tables(self._records(runner, metrics, runner.test_loop.dataloader.dataset))

    def _records(
        self, runner: Runner, metrics: dict[str, float], dataset: Dataset, **training: Any
    ) -> list[dict[str, Any]]:
        origin = _origin(runner) or {}
        row = _ROWS.get(origin.get('file') or '', 'row')
        data, images = data_name(dataset)
        return [
            dict(
                table=entry['table'],
                row=entry.get(row, _NAMES[row]),
                values=self._values(entry, metrics),
                data=data,
                images=images,
                checkpoint=origin.get('file'),
                checkpoint_sha256=origin.get('sha256'),
                config=Path(runner.cfg.filename or '').name,
                **training,
                seed=runner.seed,
                processes=get_world_size(),
                device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
                machine=f'{platform.system()} {platform.machine()}, {os.cpu_count()} cores',
                versions=_versions(),
                date=datetime.now(timezone.utc).strftime('%Y-%m-%d'),
                command=shlex.join(sys.argv),
            )
            for entry in self.tables
        ]

    def _values(self, entry: dict[str, Any], metrics: dict[str, float]) -> dict[str, float]:
        """Pick the accuracies that fill the columns of a table."""
        if 'metrics' in entry or 'classes' in entry:
            scale, prefix = entry.get('scale', 1), entry.get('classes')
            names = entry.get('metrics', {})
            missing = [name for name in names.values() if name not in metrics]
            if missing:  # mmdet's COCO metric gives none where nothing was detected
                print_log(f'Not measured: {", ".join(missing)}', logger='current')
            wanted = {c: metrics[name] for c, name in names.items() if name in metrics}
            if prefix is not None:
                wanted |= {
                    k.removeprefix(prefix): metrics[k] for k in metrics if k.startswith(prefix)
                }
            return {column: float(value) * scale for column, value in wanted.items()}
        if 'columns' not in entry:
            stages = [key.removesuffix('/top1') for key in metrics if key.endswith('/top1')]
            return {stage: metrics[f'{stage}/top1'] for stage in stages if stage != 'best'}
        return {
            str(self.num_per_class) if column == _NUM_PER_CLASS else column: metrics[
                f'{stage}/top1'
            ]
            for column, stage in entry['columns'].items()
        }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # mmdet and mmseg are optional
            found[name] = version(name)
    return found


def _origin(runner: Runner) -> dict[str, str | None] | None:
    """Say where the backbone comes from, as the hook that loaded it knows."""
    hooks = (hook for hook in runner.hooks if isinstance(hook, LoadBackboneHook))
    return next((hook.origin for hook in hooks), None)


def data_name(dataset: Dataset) -> tuple[str, int]:
    """Name the data that a number is measured on.

    Args:
        dataset (Dataset): Images, or a wrapper with a ``dataset``.

    Returns:
        tuple[str, int]: The folder's name of a folder of images per class; the
        folder and the split of data for detection or segmentation; the class's
        name of any other data set; and how many images there are.
    """
    images = len(dataset)
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    if type(dataset) is VOC:
        return f'{Path(dataset.data_root).resolve().name} {dataset.split}', images
    if type(dataset) is CustomDataset:
        return Path(dataset.data_root or dataset.img_prefix).resolve().name, images
    if type(dataset).__module__.startswith(_BY_FOLDER) and dataset.data_root:
        return _name_by_folder(dataset), images
    return type(dataset).__name__, images


def _name_by_folder(dataset: Dataset) -> str:
    """Name a data set of mmdet or mmseg, such as 'VOCdevkit/VOC2007 test'."""
    root = Path(dataset.data_root).resolve()
    folder = root.name
    if sub := dataset.data_prefix.get('sub_data_root'):
        folder += f'/{Path(sub).name}'
    if dataset.ann_file:
        return f'{folder} {Path(dataset.ann_file).stem}'
    return f'{folder} {Path(dataset.data_prefix["img_path"]).name}'
