"""Checks before training for errors that would otherwise only show up hours later."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader

from mmrot.errors import UserError
from mmrot.models import LayerProbes

from .resume import list_checkpoints

# The column of ResultTableHook that stands for the number of labels per class.
NUM_PER_CLASS = 'num_per_class'


def check_unused(work_dir: str | Path, resumable: bool = True) -> None:
    """Check that a work directory contains no other run.

    Args:
        work_dir: Work directory of a run that starts from the first iteration.
        resumable: Whether ``--resume`` is an option.

    Raises:
        UserError: If there are results or checkpoints.
    """
    for path in (Path(work_dir, 'results.json'), *list_checkpoints(work_dir)[:1]):
        if path.exists():
            raise UserError(
                f'{path} is from an earlier run. Use {"--resume, " * resumable}another '
                '--work-dir, or --overwrite to replace it.'
            )


def check_tables(
    tables: Sequence[Mapping[str, Any]], model: nn.Module, num_per_class: int | None
) -> None:
    """Check that the probes of a model can fill the columns of tables.

    Args:
        tables: The tables of :class:`mmrot.ResultTableHook`.
        model: The model, without a wrapper; one without probes passes.
        num_per_class: Number of labelled images per class, if it is limited.

    Raises:
        UserError: If a stage has no probe, or ``num_per_class`` is unknown.
    """
    head = getattr(model, 'head', None)
    if not isinstance(head, LayerProbes):
        return
    for entry in tables:
        columns = entry.get('columns', {})
        if NUM_PER_CLASS in columns and num_per_class is None:
            raise UserError(f'{entry["table"]} requires mmrot.PerClassSubset as training data.')
        if missing := set(columns.values()) - set(head.probes):
            raise UserError(
                f'{entry["table"]} requires a probe of {", ".join(sorted(missing))}, but the '
                f'model has {", ".join(head.probes)}. Set the tables of ResultTableHook.'
            )


def check_last_batch(loader: DataLoader, model: nn.Module) -> None:
    """Check that the probes of a model are never trained on a single image.

    Args:
        loader: Training data.
        model: The model, without a wrapper; one without probes passes.

    Raises:
        UserError: If the last batch of an epoch has one image, which batch norm
            cannot normalise.
    """
    images, batch_size = len(loader.sampler), loader.batch_size
    if (
        isinstance(getattr(model, 'head', None), LayerProbes)
        and images % batch_size == 1
        and not loader.drop_last
    ):
        raise UserError(
            f'{images} images in batches of {batch_size} leave a last batch of one image, which '
            'batch norm cannot train on. Change train_dataloader.batch_size or set '
            'train_dataloader.drop_last=True.'
        )
