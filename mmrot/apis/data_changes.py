"""Change the data of a config: each function takes a config and returns a modified copy.

The command-line options are implemented by these functions and those of ``config_changes``; in
Python, chain them::

    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_cifar10.py'))
    cfg = in_memory(with_image_folder(cfg, 'photos'))
"""

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcv.transforms import CenterCrop, LoadImageFromFile, RandomFlip, Resize
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, TRANSFORMS
from mmpretrain.datasets.transforms import PackInputs, RandomCrop, RandomResizedCrop, ResizeEdge
from mmpretrain.models import MultiLabelLinearClsHead

from mmrot.datasets.image_folder import EXTENSIONS
from mmrot.datasets.image_header import header_problem, jpeg_shape
from mmrot.datasets.shards import is_pack
from mmrot.datasets.transforms import LoadImage
from mmrot.errors import UserError
from mmrot.models import LayerProbes, RotationPred

from .config_parts import DATALOADERS, class_of, innermost_datasets, is_a

# Where a transform has its size, and whether it determines that of the image.
_SIZES = {
    RandomResizedCrop: ('scale', True),
    RandomCrop: ('crop_size', True),
    CenterCrop: ('crop_size', True),
    ResizeEdge: ('scale', False),
}
# Transforms without randomness: their result can be kept in memory.
_DETERMINISTIC = {LoadImage, LoadImageFromFile, Resize, ResizeEdge, CenterCrop, PackInputs}
# What a RandomResizedCrop and InMemoryImages draw crops from.
_CROP_RANGES = ('crop_ratio_range', 'aspect_ratio_range')
# Crops that leave few traces of how a JPEG was rotated (docs/shortcuts.md).
SMALL_JPEG_CROPS = dict(crop_ratio_range=(0.2, 1.0), aspect_ratio_range=(1 / 2, 2.0))


def with_data_root(cfg: Config, root: str) -> Config:
    """Return a config whose datasets and evaluators read from another folder.

    Args:
        cfg: Config with a top-level ``data_root``. Every path in its dataloaders
            and evaluators that starts with it is changed.
        root: New root folder.

    Raises:
        UserError: If no path of the config starts with its ``data_root``.
    """
    cfg = copy.deepcopy(cfg)
    old = cfg.data_root.rstrip('/')
    moved = 0

    def move(value: Any) -> Any:
        nonlocal moved
        if isinstance(value, dict):
            for key in value:
                value[key] = move(value[key])
        elif isinstance(value, list | tuple):
            return type(value)(move(item) for item in value)
        elif isinstance(value, str) and (value == old or value.startswith(f'{old}/')):
            moved += 1
            return root.rstrip('/') + value[len(old) :]
        return value

    for field in (*DATALOADERS, 'val_evaluator', 'test_evaluator'):
        if cfg.get(field) is not None:
            cfg[field] = move(cfg[field])
    if not moved:
        raise UserError(f'data_root={root}: no dataset of the config is located in {old}.')
    cfg.data_root = root
    return cfg


def with_image_folder(cfg: Config, train: str, val: str | None = None) -> Config:
    """Return a pretraining config that reads photos or shards of them, without labels.

    If the shorter side of JPEGs is less than four times the crop size, padded random crops
    become resized crops with random aspect ratios (:data:`SMALL_JPEG_CROPS`), which, unlike
    padded crops, hardly reveal how a JPEG was rotated. If it is less than twice the crop size,
    resized crops get these aspect ratios and minimum area (unless theirs is smaller). The images
    of a pack count as small JPEGs. Change the size of the crops before calling this function,
    not after.

    Args:
        cfg: Pretraining config. The rest of its pipelines is kept; those that read arrays get
            an image-loading step first.
        train: Folder of training photos, nested folders included, or of shards of ``mmrot
            pack``.
        val: Folder of validation and test photos, or of their shards. By default every 20th
            photo of ``train`` is held out.

    Raises:
        UserError: If the config needs labels or its datasets are wrapped.
    """
    cfg = copy.deepcopy(cfg)
    if is_a(cfg, MODELS, cfg.model.get('head'), LayerProbes):
        raise UserError('A probe needs labels: use --labelled-folder, not --image-folder.')
    _read_files(cfg)
    for field, _ in innermost_datasets(cfg):
        dataset = cfg[field].dataset
        if 'pipeline' not in dataset:
            raise UserError(
                f'--image-folder needs a pretraining config: {field}.dataset of type '
                f'{dataset.get("type")} has no pipeline. For a run with --in-memory, use the '
                'config that it was started with.'
            )
        training = field == 'train_dataloader'
        folder = train if training or val is None else val
        cfg[field].dataset = ConfigDict(
            type='mmrot.Shards' if is_pack(folder) else 'mmrot.ImageFolder',
            data_root=folder,
            split='all' if val is not None else 'train' if training else 'val',
            pipeline=dataset.pipeline,
        )
    _hide_traces(cfg, train)
    return cfg


def _hide_traces(cfg: Config, folder: str) -> None:
    """Change the random crops of small JPEGs, in place."""
    if cfg.get('train_dataloader') is None:  # an evaluation of features
        return
    pipeline = cfg.train_dataloader.dataset.pipeline
    for i, step in enumerate(pipeline):
        kind = class_of(cfg, TRANSFORMS, step)
        if (
            kind is RandomCrop
            and step.get('padding')
            # 4 times: JPEG's blocks of 8 pixels shrink to 2 or fewer
            and (is_pack(folder) or _has_small_jpegs(folder, 4, step.crop_size))
        ):
            pipeline[i] = ConfigDict(
                type='mmpretrain.RandomResizedCrop',
                scale=step.crop_size,
                **SMALL_JPEG_CROPS,
                interpolation='bicubic',
                backend='pillow',
            )
        elif (
            kind is RandomResizedCrop
            and 'aspect_ratio_range' not in step
            # not 4 times: the crops are already resized, if only slightly
            and _has_small_jpegs(folder, 2, step.scale)
        ):
            areas = (
                SMALL_JPEG_CROPS['crop_ratio_range'],
                step.get('crop_ratio_range', (0.08, 1.0)),
            )
            step.update(SMALL_JPEG_CROPS, crop_ratio_range=min(areas))


def _has_small_jpegs(folder: str, factor: int, crop_size: int | Sequence[int]) -> bool:
    """Check if the shorter side of the first JPEG is less than ``factor`` times that of crops."""
    size = crop_size if isinstance(crop_size, int) else min(crop_size)
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(root, name)
            if name.lower().endswith(('.jpg', '.jpeg')) and not header_problem(file):
                shape = jpeg_shape(file)
                return shape is not None and min(shape) < factor * size
    return False


def with_image_size(cfg: Config, size: int) -> Config:
    """Return a config whose pipelines crop images to another size.

    Args:
        cfg: Config whose pipelines crop to squares. Sizes of other resizing steps change by
            the same factor, such as 256 pixels before a central crop of 224.
        size: Side of the crops in pixels.

    Raises:
        UserError: If a pipeline has no such crop.
    """
    cfg = copy.deepcopy(cfg)
    for field, holder in innermost_datasets(cfg):
        steps = [
            (step, _SIZES[kind])
            for step in holder.dataset.get('pipeline', ())
            if (kind := class_of(cfg, TRANSFORMS, step)) in _SIZES
        ]
        crops = [step[key] for step, (key, crops) in steps if crops]
        if not crops or not all(isinstance(step[key], int) for step, (key, _) in steps):
            raise UserError(f'--image-size {size}: the pipeline of {field} has no square crop.')
        for step, (key, _) in steps:
            step[key] = round(step[key] * size / crops[-1])
    return cfg


def with_labelled_folder(cfg: Config, root: str) -> Config:
    """Return a classification config that reads photos from one folder per class.

    Pipelines and dataset wrappers are kept. The head is set to the number of classes,
    and a multi-label head becomes a softmax classifier. The initial weights of probes
    keep the scale that they have with the config's own number of classes. A pretraining
    config does not use the labels, but ``extract_features`` and figures of its features do.

    Args:
        cfg: Classification config, such as that of a probe, or pretraining config.
        root: Folder with ``train/<class>/`` and ``val/<class>/`` or ``test/<class>/``.

    Raises:
        UserError: If a split is missing, its classes differ from the training
            classes, or the config is not a classification config.
    """
    cfg = copy.deepcopy(cfg)
    if 'head' not in cfg.model:
        raise UserError('--labelled-folder needs a classification config, with model.head.')
    splits, num_classes = class_folders(root)
    _read_files(cfg)
    for field, holder in innermost_datasets(cfg):
        split = 'train' if field == 'train_dataloader' else 'test'
        holder.dataset = ConfigDict(splits[split], pipeline=holder.dataset.pipeline)
    if is_a(cfg, MODELS, cfg.model, RotationPred):  # predicts rotations, not classes
        return cfg
    head = cfg.model.head
    if is_a(cfg, MODELS, head, LayerProbes) and head.num_classes != num_classes:
        head.setdefault('init_num_classes', head.num_classes)
    head.num_classes = num_classes
    if is_a(cfg, MODELS, head, MultiLabelLinearClsHead):  # each photo has one class
        head.type = 'mmpretrain.LinearClsHead'
        head.loss.use_sigmoid = False
    return cfg


def class_folders(root: str) -> tuple[dict[str, dict[str, Any]], int]:
    """Check a folder of ``{train,val}/<class>/`` or ``{train,test}/<class>/``.

    Returns:
        Configs of the ``'train'`` and ``'test'`` data without a pipeline, and the number of
        classes.
    """
    val = 'val' if Path(root, 'val').is_dir() else 'test'
    classes = {}
    for split in ('train', val):
        if not Path(root, split).is_dir():
            raise UserError(
                f'{root} has no {split}/: expected train/<class>/ and val/<class>/ or '
                'test/<class>/.'
            )
        classes[split] = {path.name for path in Path(root, split).iterdir() if path.is_dir()}
    if not classes['train']:
        raise UserError(f'{root}/train has no class folders.')
    if differing := sorted(classes['train'] ^ classes[val]):
        raise UserError(
            f'{root}: the classes of train/ and {val}/ differ: {", ".join(differing[:5])}.'
        )
    splits = {
        name: dict(
            type='mmpretrain.CustomDataset',
            data_root=root,
            data_prefix=folder,
            extensions=EXTENSIONS,
        )
        for name, folder in (('train', 'train'), ('test', val))
    }
    return splits, len(classes['train'])


def in_memory(cfg: Config) -> Config:
    """Return a config that keeps its images in memory and augments whole batches.

    Args:
        cfg: Config for pretraining or for a probe. The only random transforms that its
            pipelines may contain are ``RandomCrop`` or bicubic ``RandomResizedCrop`` of the
            pillow backend, and ``RandomFlip``, after all other steps except ``PackInputs``.

    Raises:
        UserError: If a pipeline is missing or has other random transforms.
    """
    cfg = copy.deepcopy(cfg)
    pretraining = is_a(cfg, MODELS, cfg.model, RotationPred)
    for field, holder in innermost_datasets(cfg):
        random: dict[str, Any] = {}
        fixed = []
        for step in holder.dataset.get('pipeline', ()):
            kind = class_of(cfg, TRANSFORMS, step)
            if kind is RandomCrop and _crops_with_zeros(step):
                random.update(crop_size=step.crop_size, padding=step.get('padding') or 0)
            elif kind is RandomResizedCrop and not random and _resizes_as_pillow(step):
                random = {key: step[key] for key in _CROP_RANGES if key in step}
                random['crop_size'] = step.scale
            elif kind is RandomFlip and _flips_half(step):
                random['flip'] = True
            elif kind in _DETERMINISTIC and (kind is PackInputs or not random):
                fixed.append(step)
            else:
                raise UserError(
                    f'--in-memory does not support {step.type} in the pipeline of {field}.'
                )
        if not fixed:
            raise UserError(f'--in-memory: {field}.dataset has no pipeline.')
        holder.dataset.pipeline = fixed
        cfg[field].dataset = ConfigDict(
            type='mmrot.InMemoryImages',
            dataset=cfg[field].dataset,
            with_samples=not (pretraining and field == 'train_dataloader'),
            **random,
        )
        cfg[field].update(
            num_workers=0,
            persistent_workers=False,
            pin_memory=False,
            collate_fn=dict(type='mmrot.identity_collate'),
        )
    return cfg


def cached_images(cfg: Config, folder: str, short_side: int | None = None) -> Config:
    """Return a config that decodes each image once, see :class:`mmrot.LoadCachedImage`.

    For images that are cached at full size, random crops are unchanged and pixels differ by at
    most 2 of 255 levels. For larger images, crops follow the same distribution.

    Args:
        cfg: Config for pretraining or for a probe. Its pipelines begin with ``mmrot.LoadImage``
            without arguments and a bilinear ``RandomResizedCrop`` or ``ResizeEdge`` of the pillow
            backend. Call :func:`with_image_size` before.
        folder: Folder of the cache.
        short_side: Largest short side of the images that random resized crops are taken from, in
            pixels. By default the smallest one for which caching enlarges no crop: 915 for crops
            of 224 pixels that cover 8 % of the image or more. Smaller values save space but blur
            small crops. For ``ResizeEdge``, images are cached at its output size.

    Raises:
        UserError: If a pipeline begins with other steps.
    """
    cfg = copy.deepcopy(cfg)
    for field, holder in innermost_datasets(cfg):
        pipeline = holder.dataset.get('pipeline', [])
        kinds = [class_of(cfg, TRANSFORMS, step) for step in pipeline]
        at = next((i for i, k in enumerate(kinds) if k in (RandomResizedCrop, ResizeEdge)), 0)
        step = pipeline[at] if at else ConfigDict()
        if (
            kinds[:1] != [LoadImage]
            or set(pipeline[0]) - {'type', '_scope_'}
            or at != 1
            or step.get('backend') != 'pillow'
            or step.get('interpolation', 'bilinear') != 'bilinear'
            or step.get('edge', 'short') != 'short'
        ):
            raise UserError(
                f'--cache-images: the pipeline of {field} does not begin with mmrot.LoadImage '
                'without arguments, followed by a bilinear RandomResizedCrop or ResizeEdge with '
                "backend='pillow'."
            )
        side = step.scale
        if kinds[at] is RandomResizedCrop:
            area = step.get('crop_ratio_range', (0.08, 1.0))[0]
            ratio = step.get('aspect_ratio_range', (3 / 4, 4 / 3))
            smallest = math.sqrt(area * min(ratio[0], 1 / ratio[1]))  # relative to the short side
            side = short_side or math.ceil(step.scale / smallest)
            flip = kinds[at + 1 : at + 2] == [RandomFlip] and _flips_half(pipeline[at + 1])
            del step['backend']
            step.update(type='mmrot.TorchResizedCrop', flip=flip)
            del pipeline[at + 1 : at + 1 + flip]
        pipeline[0] = ConfigDict(type='mmrot.LoadCachedImage', folder=folder, short_side=side)
    return cfg


def _read_files(cfg: Config) -> None:
    """Prepend image loading to every pipeline that lacks it, in place."""
    for _, holder in innermost_datasets(cfg):
        pipeline = holder.dataset.get('pipeline')
        if pipeline and not any(is_a(cfg, TRANSFORMS, s, LoadImageFromFile) for s in pipeline):
            loader = ConfigDict(type='mmrot.LoadImage')
            holder.dataset.pipeline = [loader, *pipeline]
            cfg.data_preprocessor.to_rgb = True  # the loader returns BGR


def _crops_with_zeros(step: ConfigDict) -> bool:
    """Check that a RandomCrop sets only a square size and equal zero padding."""
    sizes = (step.get('crop_size'), step.get('padding') or 0)
    known = {'type', '_scope_', 'crop_size', 'padding'}
    return set(step) <= known and all(isinstance(size, int) for size in sizes)


def _resizes_as_pillow(step: ConfigDict) -> bool:
    """Check that a RandomResizedCrop does what :func:`resize_crops` does."""
    known = {'type', '_scope_', 'scale', 'interpolation', 'backend'}
    return (
        set(step) <= known | set(_CROP_RANGES)
        and isinstance(step.scale, int)
        and 'crop_ratio_range' in step
        and (step.get('interpolation'), step.get('backend')) == ('bicubic', 'pillow')
    )


def _flips_half(step: ConfigDict) -> bool:
    """Check that a RandomFlip flips horizontally with probability 0.5."""
    return step.get('prob') == 0.5 and step.get('direction', 'horizontal') == 'horizontal'
