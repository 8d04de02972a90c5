import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import Dataset

from mmrot.engine.distributed import unwrap
from mmrot.engine.preflight import NUM_PER_CLASS, check_last_batch, check_tables
from mmrot.errors import UserError
from mmrot.models import LayerProbes
from mmrot.registry import HOOKS
from mmrot.results import (
    Record,
    constant_answers,
    data_name,
    environment,
    print_tables,
    published_table,
    published_tables,
    read_records,
    write_results,
)

from .load_backbone_hook import RANDOM, RANDOM_RESCALED, LoadBackboneHook

# Key of the row that a backbone without pretraining fills, and the default rows.
_ROW_KEYS = {RANDOM: 'random_row', RANDOM_RESCALED: 'random_rescaled_row'}
_ROWS = {'row': 'RotNet', 'random_row': 'random', 'random_rescaled_row': 'random rescaled'}


@HOOKS.register_module()
class ResultTableHook(Hook):
    """Print the published table with the measured row at the end of a run.

    The results of the last epoch are also written to ``results.json`` and
    ``results.md`` in the work directory, see :class:`mmrot.results.Record`.
    Testing a checkpoint only prints the table.

    Args:
        tables: The tables that the run fills. Each has ``table``, a key in
            ``mmrot/results/published.json``; ``row``, the row of a pretrained
            backbone, by default ``'RotNet'``; ``random_row``, that of
            ``checkpoint=random``, by default ``'random'``; and
            ``random_rescaled_row``, ``'random rescaled'``. The columns are:

            - for probes, by default one column for each stage; or ``columns``,
              a dict from column to stage. The column ``'num_per_class'`` is
              named after the number of labels of :class:`mmrot.PerClassSubset`;
            - otherwise ``metrics``, a dict from column to metric; ``classes``,
              the prefix of the metrics that are named after the columns; and
              ``scale``, a factor for both, such as 100 for percent.

            By default, the run has a table of its own, named after the config,
            with all metrics. So has a model with probes, other than those of the
            published table, if the entry has no ``columns``.

    Raises:
        UserError: If there is no such table or column.
    """

    def __init__(self, tables: Sequence[dict[str, Any]] = ()) -> None:
        for entry in tables:
            columns = published_table(entry['table'])['columns']
            named = {*entry.get('columns', ()), *entry.get('metrics', ())}
            if unknown := named - {*columns, NUM_PER_CLASS}:
                raise UserError(
                    f'columns {", ".join(sorted(unknown))} of {entry["table"]}: '
                    f'expected {", ".join(columns)}'
                )
        self.tables = tables
        self.metrics: dict[str, float] | None = None
        self.num_per_class: int | None = None

    def before_train(self, runner: Runner) -> None:
        """Check that the run can fill its tables.

        Raises:
            UserError: If it cannot, see :mod:`mmrot.engine.preflight`.
        """
        self.start = time.time()
        dataset = runner.cfg.train_dataloader.dataset
        while NUM_PER_CLASS not in dataset and 'dataset' in dataset:
            dataset = dataset.dataset
        self.num_per_class = dataset.get(NUM_PER_CLASS)
        model = unwrap(runner.model)
        check_tables(self.tables, model, self.num_per_class)
        check_last_batch(runner.train_dataloader, model)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Store the metrics of the latest epoch."""
        self.metrics = metrics

    def after_train(self, runner: Runner) -> None:
        """Write the results and print the tables."""
        if self.metrics is None:  # a finished run was resumed, or its last validation interrupted
            if Path(runner.work_dir, 'results.json').exists():
                if is_main_process():
                    print_tables(read_records(runner.work_dir))
                return
            if runner.val_loop is None:
                print_log('No table, since there was no validation.', logger='current')
                return
            self.metrics = runner.val_loop.run()
        if not is_main_process():
            return
        records = self._records(
            runner,
            self.metrics,
            runner.val_loop.dataloader.dataset,
            epochs=runner.epoch if isinstance(runner.train_loop, EpochBasedTrainLoop) else None,
            iterations=runner.iter,
            samples_per_epoch=len(runner.train_dataloader.dataset),
            batch_size=runner.cfg.train_dataloader.batch_size * get_world_size(),
            seconds=round(time.time() - self.start),
        )
        write_results(records, runner.work_dir)
        print_tables(records)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the number of labels per class."""
        checkpoint['meta'][NUM_PER_CLASS] = self.num_per_class

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the number of labels per class."""
        self.num_per_class = (checkpoint.get('meta') or {}).get(NUM_PER_CLASS)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Print the tables of a tested checkpoint whose backbone is known."""
        if not is_main_process() or not metrics:
            return
        if _origin(runner) is None:
            print_log(
                'No table, since the checkpoint does not name its pretrained backbone.',
                logger='current',
            )
            return
        print_tables(self._records(runner, metrics, runner.test_loop.dataloader.dataset))

    def _records(
        self, runner: Runner, metrics: dict[str, float], dataset: Dataset, **training: Any
    ) -> list[Record]:
        origin = _origin(runner) or {}
        row = _ROW_KEYS.get(origin.get('file') or '', 'row')
        config = Path(runner.cfg.filename or '').name
        return [
            Record(
                table=entry['table'],
                row=entry.get(row, _ROWS[row]),
                values=self._values(entry, metrics),
                data=data_name(dataset),
                images=len(dataset),
                checkpoint=origin.get('file'),
                checkpoint_sha256=origin.get('sha256'),
                config=config,
                seed=runner.seed,
                **constant_answers(dataset),
                **environment(),
                **training,
            )
            for entry in self._fitting_tables(unwrap(runner.model))
            or [dict(table=config or runner.model_name)]
        ]

    def _fitting_tables(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the tables without those whose columns are the probes of another network."""
        head = getattr(model, 'head', None)
        if not isinstance(head, LayerProbes):
            return [*self.tables]
        probes = set(head.probes)
        return [
            entry
            for entry in self.tables
            if {'columns', 'metrics', 'classes'} & entry.keys()
            or probes <= set(published_table(entry['table'])['columns'])
        ]

    def _values(self, entry: dict[str, Any], metrics: dict[str, float]) -> dict[str, float]:
        """Select the metrics that fill the columns of a table."""
        if entry['table'] not in published_tables():  # the run's own
            return {
                name: float(value)
                for name, value in metrics.items()
                if isinstance(value, int | float) and name != 'best/top1'
            }
        if 'metrics' in entry or 'classes' in entry:
            names = dict(entry.get('metrics', {}))
            if (prefix := entry.get('classes')) is not None:
                names |= {
                    key.removeprefix(prefix): key for key in metrics if key.startswith(prefix)
                }
            missing = [name for name in names.values() if name not in metrics]
            if missing:  # mmdet's COCO metric returns none if nothing was detected
                print_log(f'Not measured: {", ".join(missing)}', logger='current')
            scale = entry.get('scale', 1)
            return {c: float(metrics[n]) * scale for c, n in names.items() if n in metrics}
        columns = entry.get('columns')
        if columns is None:
            stages = [key.removesuffix('/top1') for key in metrics if key.endswith('/top1')]
            columns = {stage: stage for stage in stages if stage != 'best'}
        names = {NUM_PER_CLASS: str(self.num_per_class)}
        return {names.get(c, c): metrics[f'{stage}/top1'] for c, stage in columns.items()}


def _origin(runner: Runner) -> dict[str, str | None] | None:
    """Return the provenance of the backbone from the hook that loaded it."""
    hooks = (hook for hook in runner.hooks if isinstance(hook, LoadBackboneHook))
    return next((hook.origin for hook in hooks), None)
