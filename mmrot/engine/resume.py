"""Which checkpoint of a work directory training resumes from."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmrot.errors import UserError, first_few
from mmrot.weights.checkpoint import UNREADABLE, load_checkpoint

_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def list_checkpoints(work_dir: str | Path) -> list[Path]:
    """List the checkpoints that training in a work directory has saved, the newest first.

    Those of iterations come before those of epochs: a run saves one kind only, but for the
    checkpoint of an interrupted epoch.

    Args:
        work_dir: Work directory of a run.
    """
    found = [(match, path) for path in Path(work_dir).glob('*.pth') if (match := _match(path))]
    return [path for _, path in sorted(found, reverse=True)]


def _match(path: Path) -> tuple[bool, int] | None:
    match = _NAME.fullmatch(path.name)
    return match and (match[1] == 'iter', int(match[2]))


def find_resumable(
    work_dir: str | Path, load: Callable[[Path], dict[str, Any]] = load_checkpoint
) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint in a work directory that training can resume from.

    Args:
        work_dir: Work directory of a run.
        load: Function that reads a checkpoint.

    Returns:
        The checkpoint, or None if there is no checkpoint at all; and why newer ones were passed
        over, one sentence each.

    Raises:
        UserError: If there are checkpoints, but none to resume from.
    """
    newest: tuple[int, Path] | None = None
    refused: list[str] = []
    for kind in ('iter', 'epoch'):
        for path in list_checkpoints(work_dir):
            if not path.name.startswith(kind):
                continue
            try:
                checkpoint = load(path)
                check_resumable(checkpoint, path)
            except UserError as error:
                refused.append(str(error))
            except (*UNREADABLE, OSError) as error:
                refused.append(f'checkpoint {path} cannot be read ({error}).')
            else:
                candidate = (int(checkpoint['meta'].get('iter', 0)), path)
                newest = max(newest, candidate) if newest else candidate
                break
    if newest is None and refused:
        raise UserError(
            f'no checkpoint in {work_dir} can be resumed: {" ".join(refused)} --overwrite starts '
            'from the beginning.'
        )
    return (newest and newest[1]), refused


def check_resumable(checkpoint: Mapping[str, Any], name: str | Path) -> None:
    """Check that a checkpoint contains a training state with finite weights.

    Args:
        checkpoint: Content of a checkpoint.
        name: Its name, for the error.

    Raises:
        UserError: If something is missing or a weight is not finite.
    """
    missing = [key for key in ('state_dict', 'meta', 'message_hub') if key not in checkpoint]
    if missing:
        raise UserError(
            f'checkpoint {name} has no {first_few(map(repr, missing))}, so training cannot be '
            'resumed from it. Use load_from to load only the weights.'
        )
    check_finite(checkpoint['state_dict'], f'checkpoint {name}')


def check_finite(state: Mapping[str, Tensor], name: str) -> None:
    """Check that all tensors of a state dict are finite.

    Raises:
        UserError: If one is not; names the first.
    """
    for key, value in state.items():
        if isinstance(value, Tensor) and not torch.isfinite(value).all():
            raise UserError(f'{name}: {key} is not finite.')
