"""Features of a frozen backbone, in memory or streamed to files."""

import csv
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import default_collate
from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size, is_main_process
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mmrot.errors import UserError
from mmrot.files import write_atomically

# How to pool a feature map: 'avg', a number of elements, or arguments of avg_pool2d.
Pool = str | int | Mapping[str, Any]

_JSON, _CSV, _DONE = 'features.json', 'images.csv', 'done.npy'
# Encoding and error handler of file names, which can be any bytes.
_TEXT = ('utf-8', 'surrogateescape')
_SECONDS_BETWEEN_FLUSHES = 10


@dataclass(frozen=True)
class Features:
    """Features of a dataset, in dataset order.

    Args:
        stages: Name of each stage → features (N, D), float32.
        files: N file names; the index of an image if it does not come from a file.
        labels: Class indices (N,), or for images with several classes targets
            (N, C): 1 for the classes of an image, 0 for others, -1 for those that
            only difficult objects have. None without labels.
        classes: Names of the classes, empty if unknown.
    """

    stages: dict[str, np.ndarray]
    files: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...]


def pool_features(output: Tensor, pool: Pool = 'avg') -> Tensor:
    """Pool the output of a stage to one vector per image.

    Args:
        output: Feature map (N, C, H, W), tokens (N, L, C), which are averaged, or
            vectors (N, C), which are returned unchanged.
        pool: ``'avg'`` for global average pooling. An integer is an approximate
            number of elements: the map is average-pooled to S×S with C·S² close to
            it. A dict contains arguments of ``avg_pool2d``.

    Returns:
        (N, D).

    Raises:
        UserError: If the output is not a tensor of these shapes or the map is too
            small for the window.

    Example:
        >>> pool_features(torch.rand(2, 256, 13, 13), 9000).shape
        torch.Size([2, 9216])
    """
    if not isinstance(output, Tensor) or output.ndim not in (2, 3, 4):
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UserError(f'Cannot pool {shape}: expected (N, C, H, W), (N, L, C) or (N, C).')
    if output.ndim == 2:
        return output
    if output.ndim == 3:
        return output.mean(1)
    if pool == 'avg':
        return output.mean((2, 3))
    if isinstance(pool, int) and pool > 0:
        side = max(1, round((pool / output.shape[1]) ** 0.5))
        return F.adaptive_avg_pool2d(output, min(side, *output.shape[2:])).flatten(1)
    if isinstance(pool, Mapping):
        try:
            return F.avg_pool2d(output, **pool).flatten(1)
        except (RuntimeError, TypeError) as error:
            raise UserError(
                f'Cannot pool a map of {tuple(output.shape[2:])} with {dict(pool)}: {error}.'
            ) from error
    raise UserError(f"pool={pool!r} is neither 'avg', nor a positive integer, nor a dict.")


@torch.no_grad()
def pooled_batches(
    backbone: nn.Module,
    data_preprocessor: nn.Module,
    batches: Iterable[dict],
    pools: Sequence[Pool] | None = None,
) -> Iterator[tuple[list[Tensor], list]]:
    """Run a backbone in eval mode and pool its outputs, batch by batch.

    Args:
        backbone: Backbone that returns a tuple of outputs. The training mode of its
            modules is restored at the end.
        data_preprocessor: Module that converts a collated batch to ``inputs``
            (N, 3, H, W) and ``data_samples``. It must not rotate.
        batches: Dataloader.
        pools: How to pool each output. Defaults to global average pooling.

    Yields:
        For each batch the features (N, D) of each output, and its data samples.
    """
    training = {module: module.training for module in backbone.modules()}
    backbone.eval()
    try:
        for batch in batches:
            data = data_preprocessor(batch)
            outputs = backbone(data['inputs'])
            kinds = ['avg'] * len(outputs) if pools is None else pools
            if len(outputs) != len(kinds):
                raise UserError(
                    f'{type(backbone).__name__} returns {len(outputs)} outputs, but has '
                    f'out_indices for {len(kinds)}.'
                )
            yield (
                [pool_features(x, kind) for x, kind in zip(outputs, kinds, strict=True)],
                data.get('data_samples'),
            )
    finally:
        for module, mode in training.items():
            module.training = mode


def extract_features(
    backbone: nn.Module, data_preprocessor: nn.Module, batches: Iterable[dict]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Extract the average-pooled features and the labels of a labelled dataloader.

    Args:
        backbone: See :func:`pooled_batches`.
        data_preprocessor: See :func:`pooled_batches`; its ``data_samples`` have
            ``gt_label``.
        batches: Dataloader.

    Returns:
        For each output of the backbone the features (N, C), and the labels (N,).
    """
    stages: list[list[Tensor]] = []
    labels: list[int] = []
    for features, samples in pooled_batches(backbone, data_preprocessor, batches):
        stages = stages or [[] for _ in features]
        for stage, feature in zip(stages, features, strict=True):
            stage.append(feature.cpu())  # (N, C)
        labels.extend(int(sample.gt_label) for sample in samples)
    return [torch.cat(stage).numpy() for stage in stages], np.array(labels)


def extract_dataset(
    backbone: nn.Module,
    data_preprocessor: nn.Module,
    dataset: Dataset,
    pools: Mapping[str, Pool],
    batch_size: int,
    num_workers: int = 0,
    folder: str | Path | None = None,
    source: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Features:
    """Extract the features of a whole dataset.

    In a distributed job, each process extracts every n-th batch and writes it in
    place, so that the result does not depend on the number of processes. All
    processes must call this function, with a folder that they share.

    With a folder, features are streamed to ``<stage>.npy``, so they may be larger
    than memory; file names and labels are written to ``images.csv``. An interrupted
    extraction resumes where it stopped; a finished one is only read.

    Args:
        backbone: See :func:`pooled_batches`.
        data_preprocessor: See :func:`pooled_batches`.
        dataset: Dataset whose ``get_data_info`` returns ``img_path`` and ``gt_label``,
            if any.
        pools: Name of each output of the backbone → how to pool it, see
            :func:`pool_features`.
        batch_size: Images per batch.
        num_workers: Number of processes that load images.
        folder: Output folder, created if it does not exist; None keeps the
            features in memory.
        source: What the features depend on, such as the hash of the checkpoint.
            Values must be JSON-serialisable; an extraction resumes only if they are
            the same.
        progress: Whether to show a progress bar.

    Returns:
        The features, memory-mapped if there is a folder.

    Raises:
        UserError: If features are not finite, or the folder contains features from
            another source or damaged files.
    """
    files, labels, classes = read_annotations(dataset)
    _, first = next(_extract(backbone, data_preprocessor, dataset, pools, [[0]], 0))
    sizes = {name: feature.shape[1] for name, feature in first.items()}
    if folder is None:
        arrays = {name: np.empty((len(files), size), np.float32) for name, size in sizes.items()}
        done: np.ndarray = np.zeros(len(files), bool)
    else:
        folder = Path(folder)
        meta = {
            'images': len(files),
            'stages': sizes,
            'classes': list(classes),
            'multi_label': labels is not None and labels.ndim == 2,
            # with sizes, since another photo may have the same name
            'files': hashlib.sha256('\n'.join(map(_with_size, files)).encode(*_TEXT)).hexdigest(),
            'labels': _hash(labels),
            **(source or {}),
        }
        if is_main_process():
            _start(folder, meta, files, labels)
        barrier()
        if not (folder / _DONE).exists():
            return load_features(folder)
        arrays = {
            name: _map(folder / f'{name}.npy', (len(files), size), np.float32, writable=True)
            for name, size in sizes.items()
        }
        done = _map(folder / _DONE, (len(files),), bool, writable=True)

    batches = [
        list(range(start, min(start + batch_size, len(files))))
        for start in range(0, len(files), batch_size)
    ]
    batches = [batch for batch in batches if not done[batch].all()]
    barrier()  # all processes have read what is done
    batches = batches[get_rank() :: get_world_size()]
    pending: list[int] = []
    flushed = time.monotonic()
    extracted = _extract(backbone, data_preprocessor, dataset, pools, batches, num_workers)
    if progress and is_main_process():
        extracted = track(extracted, 'Extracting features', len(batches), transient=True)
    for batch, features in extracted:
        for name, feature in features.items():
            if not (finite := np.isfinite(feature).all(1)).all():
                raise UserError(
                    f'The features of {name} for {files[batch[int(finite.argmin())]]} are not '
                    'finite.'
                )
            arrays[name][batch] = feature
        pending += batch
        if folder is not None and time.monotonic() - flushed >= _SECONDS_BETWEEN_FLUSHES:
            _flush(arrays, done, pending)
            pending, flushed = [], time.monotonic()
    if folder is None:
        _gather(arrays, pending)
        return Features(arrays, files, labels, classes)
    _flush(arrays, done, pending)
    barrier()
    if is_main_process():
        (folder / _DONE).unlink()
    barrier()
    return load_features(folder)


def load_features(folder: str | Path) -> Features:
    """Load the features that :func:`extract_dataset` wrote.

    Args:
        folder: Output folder of the extraction.

    Returns:
        The features, as read-only memory maps.

    Raises:
        UserError: If the extraction has not finished, or a file is damaged.
    """
    folder = Path(folder)
    meta = _read_meta(folder)
    if (folder / _DONE).exists():
        raise UserError(f'{folder}: the extraction has not finished. Run it again to resume.')
    stages = {
        name: _map(folder / f'{name}.npy', (meta['images'], size), np.float32)
        for name, size in meta['stages'].items()
    }
    path = folder / _CSV
    try:
        with path.open(newline='', encoding=_TEXT[0], errors=_TEXT[1]) as file:
            rows = list(csv.DictReader(file))
        classes = tuple(meta['classes'])
        labels: np.ndarray | None = None
        if meta['multi_label']:
            labels = np.zeros((len(rows), len(classes)), np.int8)
            for target, row in zip(labels, rows, strict=True):
                target[_indices(row['difficult'])] = -1
                target[_indices(row['label'])] = 1
        elif 'label' in rows[0]:
            labels = np.array([int(row['label']) for row in rows])
        files = [row['file'] for row in rows]
    except (OSError, LookupError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise UserError(f'{path} is missing or damaged: {error!r}.') from error
    if len(files) != meta['images']:
        raise UserError(f'{path} has {len(files)} images, expected {meta["images"]}.')
    if _hash(labels) != meta['labels']:
        raise UserError(f'{path} is damaged: these are not the labels that were written to it.')
    return Features(stages, files, labels, classes)


def read_annotations(dataset: Any) -> tuple[list[str], np.ndarray | None, tuple[str, ...]]:
    """Read the annotations of a dataset without running its pipeline.

    Args:
        dataset: See :func:`extract_dataset`.

    Returns:
        Files, labels and classes, see :class:`Features`.

    Raises:
        UserError: If there are no images, or images with several classes, but no names
            of classes.
    """
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    if not infos:
        raise UserError('The dataset has no images.')
    files = [str(info.get('img_path', index)) for index, info in enumerate(infos)]
    classes = tuple(dataset.metainfo.get('classes') or ())
    given = [info.get('gt_label') for info in infos]
    if any(label is None for label in given):
        return files, None, classes
    if all(np.ndim(label) == 0 for label in given):
        return files, np.array([int(label) for label in given]), classes
    if not classes:
        raise UserError('The dataset has images with several classes, but no names of classes.')
    targets: np.ndarray = np.zeros((len(infos), len(classes)), np.int8)
    for target, info in zip(targets, infos, strict=True):
        target[list(info.get('gt_label_difficult') or [])] = -1
        target[list(info['gt_label'])] = 1
    return files, targets, classes


def _extract(
    backbone: nn.Module,
    data_preprocessor: nn.Module,
    dataset: Dataset,
    pools: Mapping[str, Pool],
    batches: Sequence[list[int]],
    num_workers: int,
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yield the indices of each batch and the features of its images by stage."""
    loader = DataLoader(
        dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=default_collate
    )
    results = pooled_batches(backbone, data_preprocessor, loader, list(pools.values()))
    for batch, (features, _) in zip(batches, results, strict=True):
        yield (
            batch,
            {n: x.float().cpu().numpy() for n, x in zip(pools, features, strict=True)},
        )


def _start(
    folder: Path, meta: dict[str, Any], files: Sequence[str], labels: np.ndarray | None
) -> None:
    """Create the files of a new extraction, or check those of an earlier one."""
    if (folder / _JSON).exists():
        found = _read_meta(folder)
        for key, value in meta.items():
            if found.get(key) != value:
                raise UserError(f'The features in {folder} differ in "{key}". Use another folder.')
        return
    folder.mkdir(parents=True, exist_ok=True)
    taken = [path.name for path in folder.glob('*.npy') if path.stem in meta['stages']]
    if taken and not (folder / _DONE).exists():  # not from a start that was interrupted
        raise UserError(f'{folder} has {taken[0]} without {_JSON}. Use another folder.')
    with (folder / _CSV).open('w', newline='', encoding=_TEXT[0], errors=_TEXT[1]) as file:
        writer = csv.writer(file)
        if labels is None:
            writer.writerow(['file'])
            writer.writerows([name] for name in files)
        elif labels.ndim == 1:
            writer.writerow(['file', 'label'])
            writer.writerows(zip(files, labels.tolist(), strict=True))
        else:
            writer.writerow(['file', 'label', 'difficult'])
            for name, target in zip(files, labels, strict=True):
                values = (';'.join(map(str, np.flatnonzero(target == v))) for v in (1, -1))
                writer.writerow([name, *values])
    arrays = {name: (np.float32, (meta['images'], size)) for name, size in meta['stages'].items()}
    # first, so that an interrupted start is recognised
    np.lib.format.open_memmap(folder / _DONE, 'w+', bool, (meta['images'],)).flush()
    for name, (dtype, shape) in arrays.items():
        np.lib.format.open_memmap(folder / f'{name}.npy', 'w+', dtype, shape).flush()
    # last, so that a folder with it has all files
    write_atomically(folder / _JSON, json.dumps(meta, indent=2) + '\n')


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / _JSON).read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise UserError(f'{folder} has no {_JSON}: it is not a folder of features.') from None
    except ValueError as error:
        raise UserError(f'{folder / _JSON} is damaged: {error}.') from error
    keys = {'images', 'stages', 'classes', 'labels', 'multi_label'}
    valid = isinstance(meta, dict) and keys <= meta.keys() and isinstance(meta['stages'], dict)
    if not valid:
        raise UserError(f'{folder / _JSON} is damaged: expected {", ".join(sorted(keys))}.')
    return meta


def _hash(labels: np.ndarray | None) -> str:
    return hashlib.sha256(repr(labels if labels is None else labels.tolist()).encode()).hexdigest()


def _with_size(file: str) -> str:
    return f'{file} {Path(file).stat().st_size}' if Path(file).is_file() else file


def _map(path: Path, shape: tuple[int, ...], dtype: type, writable: bool = False) -> np.ndarray:
    """Open a memory map and check its size."""
    try:
        # read-only first, since opening a map for writing would extend a truncated file
        array = np.load(path, mmap_mode='r')
        if writable:
            array = np.load(path, mmap_mode='r+')
    except (ValueError, OSError, EOFError, SyntaxError, TokenError) as error:
        raise UserError(f'{path} is missing or damaged: {error}.') from error
    if array.shape != shape or array.dtype != dtype:
        raise UserError(
            f'{path} has the shape {array.shape} and type {array.dtype}, expected {shape} and '
            f'{np.dtype(dtype)}.'
        )
    return array


def _flush(arrays: Mapping[str, Any], done: Any, rows: list[int]) -> None:
    """Flush features to disk, and only then mark them as done."""
    for array in arrays.values():
        array.flush()
    done[rows] = True
    done.flush()


def _gather(arrays: Mapping[str, np.ndarray], rows: list[int]) -> None:
    """Gather the rows of all processes into the arrays of each."""
    if get_world_size() == 1:
        return
    own = {name: array[rows] for name, array in arrays.items()}
    for other_rows, other in all_gather_object((rows, own)):
        for name, array in arrays.items():
            array[other_rows] = other[name]


def _indices(text: str) -> list[int]:
    return [int(index) for index in text.split(';') if index]
