"""Check whether a network reads rotations from how files were made instead of from content."""

import copy
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from rich.progress import track
from torch import Tensor

from mmrot.errors import UserError
from mmrot.evaluation.shortcut import (
    add_dct_noise,
    all_orientations,
    grey,
    low_pass,
    luminance_table,
    noise_images,
    recompress,
    shift,
)
from mmrot.models import RotationPred
from mmrot.rotation import QUARTER_TURNS, quarter_turn, rotation_labels

from .data_changes import with_image_folder
from .features import build_split
from .models import get_model

QUALITIES = (75, 90, 95)
# Points above chance, or above the same images without compression, in content-free images.
MARGIN, AXIS_MARGIN = 2.0, 3.0
_MAX_NOISE_SIDE = 512
_ROTATED = 're-encoded after rotation'
_NOT_COMPRESSED = 'not compressed'
_PRE_ROTATED = 'pre-rotated photos'


def check_shortcuts(
    config: str | Path | Config,
    checkpoint: str | Path,
    image_folder: str | None = None,
    num_images: int = 1000,
    batch_size: int = 64,
    trust: bool = False,
) -> dict[str, Any]:
    """Measure rotation accuracy on photos, on photos without some traces, and on noise.

    Every image is rotated by all four angles. Axis accuracy counts 0° and 180° as one
    answer, 90° and 270° as the other. Noise has no content and no direction: accuracy
    that exceeds chance only once the noise is compressed comes from the file format. The same
    holds for photos that were rotated by all four angles before compression. Both are compressed
    at the size of the network. If the photos have another size, noise is also compressed at theirs
    (at most 512 pixels), followed by the test pipeline.

    Args:
        config: Pretraining config or its path. The photos are its test data.
        checkpoint: Pretraining checkpoint.
        image_folder: Folder of photos instead of the config's test data.
        num_images: Number of photos, evenly spaced in the dataset, and of noise images.
        batch_size: Number of images per forward pass, before rotation.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run code.

    Returns:
        ``rows``, a list of dicts with ``images`` (the name of the row), ``count``,
        ``accuracy`` and ``axis_accuracy`` in percent; ``shortcut`` and ``verdict``, see
        :func:`judge`.

    Raises:
        UserError: If the model does not predict the four rotations, or the checkpoint does
            not match it.
    """
    model = get_model(config, checkpoint, get_device(), trust)
    if not isinstance(model, RotationPred) or model.angles != QUARTER_TURNS:
        raise UserError('expected a pretraining config with angles 0, 90, 180 and 270.')
    cfg = copy.deepcopy(model._config)
    if image_folder is not None:
        cfg = with_image_folder(cfg, image_folder, image_folder)
    dataset = build_split(cfg, 'test')
    indices = np.linspace(0, len(dataset) - 1, min(num_images, len(dataset))).astype(int)
    samples = [dataset[int(i)] for i in track(indices, 'Reading photos', transient=True)]
    loads_bgr = bool(cfg.data_preprocessor.get('to_rgb'))
    photos = _to_bgr([sample['inputs'] for sample in samples], loads_bgr)
    bgr = bool(model._config.data_preprocessor.get('to_rgb'))  # what the model expects
    shape = samples[0]['data_samples'].get('ori_shape')  # None for arrays, such as CIFAR-10
    variants = _variants(photos, num_images)
    total = 19 + 3 * len(QUALITIES)
    if shape is not None and tuple(shape) != photos.shape[1:3]:
        side = min(*shape, _MAX_NOISE_SIDE)
        resized = _resized_noise(dataset.pipeline, loads_bgr, num_images, side)
        variants = chain(variants, resized)
        total += 2 * (len(QUALITIES) + 1)
    rows = []
    for name, images in track(variants, 'Testing', total=total, transient=True):
        quality = int(name.split()[-1]) if name.startswith(_ROTATED) else None
        accuracy, axis = rotation_accuracies(model, images, bgr, batch_size, quality)
        rows.append(dict(images=name, count=len(images), accuracy=accuracy, axis_accuracy=axis))
    return dict(rows=rows, **judge(rows))


def judge(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Decide whether compression makes the rotations of content-free images predictable.

    It does if, for any kind of compressed noise or of pre-rotated photos, the 4-way accuracy is
    more than 2 points above both chance (25 %) and the accuracy on the same images without
    compression, or if the axis accuracy is more than 3 points above both, or below both. A network
    can be off chance on noise for other reasons, such as the small number of images; compression
    is responsible for the difference only. On pre-rotated photos without compression, accuracy is
    exactly at chance.

    Args:
        rows: See :func:`check_shortcuts`.

    Returns:
        ``shortcut``, whether it does, and ``verdict``, a sentence.
    """
    by_name = {row['images']: row for row in rows}
    chance = dict(accuracy=25.0, axis_accuracy=50.0)
    pairs = [
        (row, by_name.get(re.sub(r'quality \d+', _NOT_COMPRESSED, name), chance))
        for name, row in by_name.items()
        if re.match(rf'(white noise|pink noise|{_PRE_ROTATED}), quality', name)
    ]

    def excess(pair: tuple[dict[str, Any], dict[str, Any]]) -> float:
        row, plain = pair
        low, high = sorted((chance['axis_accuracy'], plain['axis_accuracy']))
        axis = max(low - row['axis_accuracy'], row['axis_accuracy'] - high)
        return max(
            row['accuracy'] - max(chance['accuracy'], plain['accuracy']) - MARGIN,
            axis - AXIS_MARGIN,
        )

    worst = max(pairs, key=excess)
    compressed, plain = (
        f'{row["accuracy"]:.1f} % 4-way, {row["axis_accuracy"]:.1f} % axis' for row in worst
    )
    shortcut = excess(worst) > 0
    verdict = (
        'The network reads traces of JPEG compression'
        if shortcut
        else 'No evidence that traces of JPEG compression give rotations away'
    )
    name = worst[0]['images']
    return dict(
        shortcut=shortcut,
        verdict=f'{verdict}: on {name}, {compressed}; without compression, {plain}.',
    )


def _variants(photos: np.ndarray, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the images (N, H, W, 3) of each row, BGR."""
    yield 'photos', photos
    for kind in ('white', 'pink'):
        noise = noise_images(kind, count, photos.shape[1])
        for quality in QUALITIES:
            yield f'{kind} noise, quality {quality}', recompress(noise, quality)
        yield f'{kind} noise, {_NOT_COMPRESSED}', noise
    greys = grey(photos)
    yield 'grey', greys
    table = luminance_table(75)
    tables = {'Q': table, 'transposed Q': table.T, 'mean of both': (table + table.T) / 2}
    for name, shape in tables.items():
        yield f'grey, DCT noise shaped by {name}', add_dct_noise(greys, shape)
    # noise that hides the traces of the photos' own compression
    masked = add_dct_noise(greys[::4], tables['mean of both'])
    for quality in QUALITIES:
        yield f'{_PRE_ROTATED}, quality {quality}', recompress(all_orientations(masked), quality)
    for pixels in range(1, 8):
        yield f'shifted by {pixels}', shift(photos, pixels)
    for sigma in (1, 2):
        yield f'low-pass, sigma {sigma}', low_pass(photos, sigma)
    for quality in QUALITIES:
        yield f'{_ROTATED} at quality {quality}', photos


def _resized_noise(
    pipeline: Callable[[dict], dict], loads_bgr: bool, count: int, side: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the images (N, H, W, 3) of noise after a pipeline, BGR."""
    for kind in ('white', 'pink'):
        for quality in (*QUALITIES, None):
            found = []
            with TemporaryDirectory() as folder:
                for seed in range(count):
                    path = str(Path(folder, f'{seed}.{"png" if quality is None else "jpg"}'))
                    (noise,) = noise_images(kind, 1, side, seed)
                    options = [] if quality is None else [cv2.IMWRITE_JPEG_QUALITY, quality]
                    cv2.imwrite(path, noise, options)
                    found.append(pipeline(dict(img_path=path))['inputs'])
                    Path(path).unlink()
            name = _NOT_COMPRESSED if quality is None else f'quality {quality}'
            yield f'{kind} noise, {name}, resized', _to_bgr(found, loads_bgr)


def _to_bgr(images: list[Tensor], bgr: bool) -> np.ndarray:
    """Stack images (C, H, W) to (N, H, W, C), BGR."""
    arrays = torch.stack(images).permute(0, 2, 3, 1).numpy()
    return np.ascontiguousarray(arrays if bgr else arrays[..., ::-1])


@torch.no_grad()
def rotation_accuracies(
    model: RotationPred,
    images: np.ndarray,
    bgr: bool = True,
    batch_size: int = 64,
    quality: int | None = None,
) -> tuple[float, float]:
    """Measure 4-way and axis accuracy over the four rotations of each image.

    Args:
        model: Model in eval mode.
        images: (N, H, H, 3) uint8, BGR.
        bgr: Whether the model's preprocessor expects BGR.
        batch_size: Number of images per forward pass, before rotation.
        quality: JPEG quality at which copies are saved after rotation; None for not at all.

    Returns:
        Both accuracies in percent; chance is 25 and 50.
    """
    correct = axis = 0
    device = next(model.parameters()).device
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        inputs: Tensor | list[Tensor] = _to_tensor(batch, bgr)
        if quality is not None:  # K views (N, C, H, W), which the preprocessor recognises
            views = (quarter_turn(_to_tensor(batch, True), k) for k in range(4))
            arrays = (view.permute(0, 2, 3, 1).contiguous().numpy() for view in views)
            inputs = [_to_tensor(recompress(array, quality), bgr) for array in arrays]
        copies = model.data_preprocessor(dict(inputs=inputs))['inputs'].to(device)
        answers = model.head(model.extract_feat(copies)).argmax(1).cpu()  # (4N,)
        labels = rotation_labels(len(batch), 4, answers.device)  # (4N,)
        correct += int((answers == labels).sum())
        axis += int((answers % 2 == labels % 2).sum())
    copies_seen = 4 * len(images)
    return 100 * correct / copies_seen, 100 * axis / copies_seen


def _to_tensor(images: np.ndarray, bgr: bool) -> Tensor:
    images = images if bgr else images[..., ::-1]
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
