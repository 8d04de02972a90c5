"""Plot where a network looks and what it has learned, given its config and checkpoint."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import default_collate
from mmengine.device import get_device
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from mmrot.engine.evaluation_data import build_split, normalisation
from mmrot.errors import UserError
from mmrot.evaluation.features import Features
from mmrot.evaluation.knn import nearest_neighbours
from mmrot.models import RotationPred
from mmrot.rotation import QUARTER_TURNS, rotated_copies
from mmrot.visualization import (
    attention_maps,
    draw_attention,
    draw_confusion,
    draw_embedding,
    draw_filters,
    draw_neighbours,
    embed,
    first_layer_filters,
    rotation_confusion,
    spaced_points,
)

from .config_parts import is_a
from .data_changes import with_image_folder
from .features import RANDOM, build_backbone, extract_features, open_config
from .models import get_model

# p of the first stages in Figure 3; later stages use the last one
_POWERS = (1.0, 2.0, 4.0)


def plot_attention(
    config: str | Path | Config,
    checkpoint: str | Path,
    stages: str | int | Sequence[str | int] = (0, 1, 2),
    powers: Sequence[float] | None = None,
    images: Sequence[str] | None = None,
    count: int = 4,
    split: str = 'test',
    image_folder: str | None = None,
    trust: bool = False,
) -> Figure:
    """Plot where stages respond to the rotated copies of images (Figures 3 and 6 of the paper).

    Args:
        config: Pretraining or classification config, or its path.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        stages: One or several stages that return maps, see :func:`extract_features`.
        powers: Power p of each stage, see :func:`mmrot.visualization.attention_maps`;
            further stages use the last one. Defaults to 1, 2 and 4.
        images: Files of the data, each as a path or its last parts; by default ``count``
            images evenly spaced over the data.
        count: Number of images.
        split: ``'train'``, ``'val'`` or ``'test'`` data of the config.
        image_folder: Folder of photos instead of the config's data.
        trust: Whether to unpickle arbitrary objects in the checkpoint, which can run code.

    Raises:
        UserError: If a stage does not exist or returns no map, a power is not positive or has no
            stage, or an image does not exist.
    """
    stages = [stages] if isinstance(stages, str | int) else stages
    if powers is None:
        powers = _POWERS[: len(stages)]
    if len(powers) > len(stages):
        raise UserError(f'{len(powers)} powers are too many for {len(stages)} stages.')
    if not powers or not all(0 < power < math.inf for power in powers):
        raise UserError(f'powers={tuple(powers)} are not one or more positive numbers.')
    cfg, probes = open_config(config, image_folder)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = build_split(cfg, split)
        angles = cfg.model.get('angles') or QUARTER_TURNS
        crop_upright = cfg.model.get('crop_upright', True)
        preprocessor = MODELS.build(
            dict(
                type='mmrot.RotationDataPreprocessor',
                angles=angles,
                crop_upright=crop_upright,
                **normalisation(cfg),
            )
        ).to(get_device())
        backbone, names, chosen, _ = build_backbone(cfg, str(checkpoint), stages, probes, trust)
    pixels = _inputs(dataset, _select(dataset, images, count))  # (N, C, H, W)
    power_of = {name: powers[min(i, len(powers) - 1)] for i, name in enumerate(chosen)}
    by_stage = {name: power_of[name] for name in names}
    attention = attention_maps(
        backbone.to(get_device()), preprocessor(dict(inputs=pixels))['inputs'], by_stage
    )
    copies = rotated_copies(pixels, angles, crop_upright)  # (N*K, C, H, W)
    copies = copies.unflatten(0, (len(pixels), -1))  # (N, K, C, H, W)
    return draw_attention(
        _pictures(copies, cfg, split),
        {f'{name}, p = {by_stage[name]:g}': maps for name, maps in attention.items()},
        angles,
    )


def plot_filters(
    config: str | Path | Config, checkpoint: str | Path, trust: bool = False
) -> Figure:
    """Plot the filters of the first convolution, scaled by batch norm (Figure 4 of the paper).

    Args:
        config: Config of any model with a backbone, or its path.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Raises:
        UserError: If the backbone does not begin with a convolution of images.
    """
    cfg, probes = open_config(config)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        backbone, *_ = build_backbone(cfg, str(checkpoint), None, probes, trust)
    filters = first_layer_filters(backbone)
    if filters.shape[1] == 3 and _loads_bgr(cfg, 'test') and not normalisation(cfg).get('to_rgb'):
        filters = filters.flip(1)
    return draw_filters(filters)


def plot_features(
    config: str | Path | Config,
    checkpoint: str | Path,
    stage: str | int | None = None,
    method: str = 'pca',
    thumbnails: bool = False,
    split: str = 'test',
    image_folder: str | None = None,
    out: str | Path | None = None,
    trust: bool = False,
) -> Figure:
    """Plot the average-pooled features of one stage in two dimensions, coloured by class.

    Args:
        config: Pretraining or classification config, or its path.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        stage: Stage, see :func:`extract_features`; the last output of the backbone by default.
        method: ``'pca'`` or ``'tsne'``.
        thumbnails: Whether to draw small images where there is room for them.
        split: ``'train'``, ``'val'`` or ``'test'`` data of the config.
        image_folder: Folder of photos, without labels, instead of the config's data.
        out: Folder in which features are kept, in a subfolder per split and stage.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Raises:
        UserError: If the stage does not exist, an image has several classes, or there are
            neither labels nor thumbnails.
    """
    name, features = _stage(config, checkpoint, stage, split, image_folder, out, trust)
    if features.labels is None and not thumbnails:
        raise UserError(
            'The data have no labels to colour them by. Use --labelled-folder or --thumbnails.'
        )
    if features.labels is not None and features.labels.ndim == 2:
        raise UserError('The features of images with several classes cannot be coloured.')
    points, axis_labels = embed(features.stages[name], method)
    pictures = None
    if thumbnails:
        cfg, _ = open_config(config, image_folder)
        dataset = build_split(cfg, split)
        shown = spaced_points(points)
        pictures = dict(zip(shown, _pictures(_inputs(dataset, shown), cfg, split), strict=True))
    return draw_embedding(points, axis_labels, features.labels, features.classes, pictures)


def plot_neighbours(
    config: str | Path | Config,
    checkpoint: str | Path,
    stage: str | int | None = None,
    k: int = 8,
    images: Sequence[str] | None = None,
    count: int = 4,
    split: str = 'test',
    bank: str | None = None,
    image_folder: str | None = None,
    out: str | Path | None = None,
    trust: bool = False,
) -> Figure:
    """Plot the images with the most similar average-pooled features of one stage.

    Args:
        config: Pretraining or classification config, or its path.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        stage: Stage, see :func:`extract_features`; the last output of the backbone by default.
        k: Number of neighbours.
        images: Queries, see :func:`plot_attention`.
        count: Number of queries, if ``images`` is not given.
        split: Data of the queries: ``'train'``, ``'val'`` or ``'test'``.
        bank: Data of the neighbours, ``'train'`` by default. If it is the same, a query is not its
            own neighbour.
        image_folder: Folder of photos for both, instead of the config's data.
        out: Folder in which features are kept, in a subfolder per split and stage.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Raises:
        UserError: If the stage or a query does not exist, the bank has fewer than k images, or
            both ``bank`` and ``image_folder`` are given.
    """
    if image_folder is not None and bank is not None:
        raise UserError('bank does not apply to a folder of photos, which is its own bank.')
    bank = split if image_folder is not None else bank or 'train'
    name, found = _stage(config, checkpoint, stage, split, image_folder, out, trust)
    _, known = (
        (name, found)
        if bank == split
        else _stage(config, checkpoint, stage, bank, image_folder, out, trust)
    )
    # build_split changes the config
    query_cfg, bank_cfg = (open_config(config, image_folder)[0] for _ in range(2))
    query_data, bank_data = build_split(query_cfg, split), build_split(bank_cfg, bank)
    queries = _select(query_data, images, count)
    same = bank == split
    if not 1 <= k <= len(known.files) - same:
        raise UserError(
            f'k={k} is not from 1 to {len(known.files) - same}, the number of images to compare.'
        )
    similarities, indices = (
        x.numpy()
        for x in nearest_neighbours(found.stages[name][queries], known.stages[name], k + same)
    )
    keep = indices != np.array(queries)[:, None] if same else np.ones_like(indices, bool)
    keep[keep.all(1), -1] = not same  # of many duplicates, the query itself may not be found
    similarities, indices = (x[keep].reshape(-1, k) for x in (similarities, indices))
    same_class = None
    if found.labels is not None and known.labels is not None and found.labels.ndim == 1:
        same_class = known.labels[indices] == found.labels[queries][:, None]
    return draw_neighbours(
        _pictures(_inputs(query_data, queries), query_cfg, split),
        [_pictures(_inputs(bank_data, row), bank_cfg, bank) for row in indices],
        similarities,
        same_class,
    )


def plot_confusion(
    config: str | Path | Config,
    checkpoint: str | Path,
    split: str = 'test',
    image_folder: str | None = None,
    trust: bool = False,
) -> Figure:
    """Plot the confusion matrix of predicted rotations.

    Args:
        config: Pretraining config, or its path.
        checkpoint: Pretraining checkpoint.
        split: ``'train'``, ``'val'`` or ``'test'`` data of the config.
        image_folder: Folder of photos instead of the config's data.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Raises:
        UserError: If the config is not a pretraining config or the checkpoint does not match it.
    """
    if str(checkpoint) == RANDOM:
        raise UserError("A confusion matrix needs a pretrained network, not 'random'.")
    cfg, _ = open_config(config)
    if image_folder is not None:
        cfg = with_image_folder(cfg, image_folder, image_folder)
    model = get_model(cfg, checkpoint, get_device(), trust)
    if not isinstance(model, RotationPred):
        raise UserError(
            f'the config builds a {type(model).__name__}, expected a pretraining config, whose '
            'model is an mmrot.RotationPred.'
        )
    settings = cfg[f'{split}_dataloader']
    loader = DataLoader(
        build_split(cfg, split),
        batch_size=settings.batch_size,
        num_workers=settings.get('num_workers', 0),
        collate_fn=default_collate,
    )
    counts = torch.zeros(len(model.angles), len(model.angles), dtype=torch.long)
    with torch.no_grad():
        for batch in track(loader, 'Predicting rotations', transient=True):
            samples = model(**model.data_preprocessor(batch), mode='predict')
            counts += rotation_confusion(torch.stack([s.rotation_score for s in samples]).cpu())
    return draw_confusion(counts, model.angles)


def _stage(
    config: str | Path | Config,
    checkpoint: str | Path,
    stage: str | int | None,
    split: str,
    image_folder: str | None,
    out: str | Path | None,
    trust: bool,
) -> tuple[str, Features]:
    """Extract the average-pooled features of one stage, by default the last output."""
    folder = None if out is None else Path(out, split, 'last' if stage is None else str(stage))
    stages = -1 if stage is None else stage
    features = extract_features(
        config, checkpoint, folder, split, image_folder, stages, 'avg', trust
    )
    return next(iter(features.stages)), features


def _select(dataset: Any, names: Sequence[str] | None, count: int) -> list[int]:
    """Return the indices of images by the ends of their paths, or evenly spaced ones."""
    if names is None:
        if count < 1:
            raise UserError(f'count={count} is not a positive integer.')
        return np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)).tolist()
    files = [
        os.path.abspath(str(dataset.get_data_info(i).get('img_path', i)))
        for i in range(len(dataset))
    ]
    chosen = []
    for name in names:
        path = os.path.abspath(name)
        matches = [i for i, file in enumerate(files) if file == path]
        if not matches:
            end = f'/{os.path.normpath(name)}'
            matches = [i for i, file in enumerate(files) if file.endswith(end)]
        if len(matches) != 1:
            raise UserError(f'{len(matches)} images of the data are named {name}, expected one.')
        chosen += matches
    return chosen


def _inputs(dataset: Any, indices: Sequence[int]) -> Tensor:
    """Stack images of a dataset after the test pipeline (N, C, H, W)."""
    inputs = [dataset[int(index)]['inputs'] for index in indices]
    shapes = sorted({tuple(np.shape(image)) for image in inputs})
    if len(shapes) > 1 or len(shapes[0]) != 3:
        raise UserError(f'The test pipeline returns images of shapes {shapes[:3]}, expected one.')
    return torch.stack(inputs)


def _pictures(inputs: Tensor, cfg: Config, split: str) -> np.ndarray:
    """Convert inputs (..., C, H, W) to RGB images (..., H, W, 3), uint8."""
    pixels = inputs.movedim(-3, -1).expand(*inputs.shape[:-3], *inputs.shape[-2:], 3)
    if _loads_bgr(cfg, split):
        pixels = pixels.flip(-1)
    return pixels.clamp(0, 255).to(torch.uint8).numpy()


def _loads_bgr(cfg: Config, split: str) -> bool:
    """Return whether a pipeline yields BGR images: datasets of arrays are already RGB."""
    holder = cfg.get(f'{split}_dataloader')
    while holder is not None and 'dataset' in holder:
        holder = holder.dataset
    steps = (holder or {}).get('pipeline') or ()
    loads = any(is_a(cfg, TRANSFORMS, step, LoadImageFromFile) for step in steps)
    return loads or bool(normalisation(cfg).get('to_rgb'))
