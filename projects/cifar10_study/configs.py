"""Build the configs of a study: those in ``configs/``, with its data and settings."""

import hashlib
import json
import math
import shutil
import sysconfig
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmrot.apis.data_changes import SMALL_JPEG_CROPS
from mmrot.config import config_path
from mmrot.models import NIN

from .data import StudyData
from .plan import PRETRAININGS, SNAPSHOTS, Classifier, Settings

# The fields of a config that decide what is measured.
_MEASURED = (
    *('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader'),
    *('optim_wrapper', 'param_scheduler', 'train_cfg'),
)


def pretraining_config(settings: Settings, data: StudyData, name: str, seed: int = 0) -> Config:
    """Build the config of a pretraining run, one of :data:`PRETRAININGS`."""
    base, angles = PRETRAININGS[name]
    cfg = _config(base, settings, data, seed)
    width = settings.width
    # every snapshot of Figure 5a, and one every 5 epochs to resume from
    interval = math.gcd(5, *map(settings.epochs, SNAPSHOTS))
    checkpoint = dict(interval=interval, max_keep_ckpts=-1, save_best=None)
    # padded crops would show how a JPEG was rotated, see docs/shortcuts.md
    crops = SMALL_JPEG_CROPS if data.from_folder else dict(padding=4)
    loader = _loader('train', _images('train', settings, data), with_samples=False, **crops)
    cfg.merge_from_dict(
        dict(
            model=dict(angles=angles, backbone=dict(width=width), head=dict(in_channels=width)),
            default_hooks=dict(checkpoint=checkpoint),
            compile=torch.cuda.is_available() and _can_compile(),  # slower on a CPU
            train_dataloader=loader,
        )
    )
    return cfg


def classifier_config(
    settings: Settings,
    data: StudyData,
    classifier: Classifier,
    seed: int = 0,
    backbone: str | None = None,
) -> Config:
    """Build the config that trains a classifier.

    ``backbone`` is a checkpoint or ``'random'``. The seed also determines which
    images are labelled.
    """
    cfg = _config(f'benchmarks/classification/{classifier.config}', settings, data, seed)
    dataset = _images('train', settings, data)
    if classifier.num_per_class:
        dataset = dict(
            type='mmrot.PerClassSubset',
            num_per_class=classifier.num_per_class,
            seed=seed,
            epoch_length=images(settings, data),  # as long as an epoch of all images
            dataset=dataset,
        )
    epochs = cfg.train_cfg.max_epochs
    cfg.merge_from_dict(
        dict(
            train_cfg=dict(val_interval=epochs),  # the test images are used once
            train_dataloader=_loader('train', dataset, padding=4),
            val_evaluator=dict(per_class=True),
            custom_hooks=[],
            default_hooks=dict(
                # two, because the older one is deleted before the newer one is written
                checkpoint=dict(interval=max(1, epochs // 20), max_keep_ckpts=2, save_best=None),
                load_backbone=dict(type='mmrot.LoadBackboneHook', checkpoint=backbone),
                result_table=dict(type='mmrot.ResultTableHook', tables=classifier.tables),
            ),
        )
    )
    _set_width(cfg.model, settings.width)
    return cfg


def images(settings: Settings, data: StudyData) -> int:
    """Return the number of training images of a study."""
    return 10 * settings.images_per_class if settings.images_per_class else data.images


def config_sha256(cfg: Config, data: StudyData) -> str:
    """Hash the model, data and schedule of a config that was built with the default seed.

    The location of the images does not change the hash.
    """
    text = json.dumps({field: cfg[field] for field in _MEASURED}, sort_keys=True)
    text = text.replace(json.dumps(str(data.path))[1:-1], 'DATA')
    return hashlib.sha256(text.encode()).hexdigest()


def _config(base: str, settings: Settings, data: StudyData, seed: int) -> Config:
    """Load a config and apply the settings shared by pretraining and classifiers."""
    cfg = Config.fromfile(config_path(base))
    epochs = settings.epochs(cfg.train_cfg.max_epochs)
    scale = epochs / cfg.train_cfg.max_epochs
    cfg.merge_from_dict(
        dict(
            randomness=dict(seed=seed),
            train_cfg=dict(max_epochs=epochs),
            param_scheduler=dict(
                milestones=[max(1, round(m * scale)) for m in cfg.param_scheduler.milestones]
            ),
            optim_wrapper=dict(type='mmrot.BFloat16OptimWrapper'),
            val_dataloader=_loader('test', _images('test', settings, data)),
            test_dataloader=_loader('test', _images('test', settings, data)),
        )
    )
    if data.from_folder:  # image files are read as BGR
        cfg.data_preprocessor.to_rgb = True
    return cfg


def _images(split: str, settings: Settings, data: StudyData) -> dict[str, Any]:
    """Return the dataset of a split, limited to ``images_per_class`` for training."""
    pack = dict(type='mmpretrain.PackInputs')
    dataset: dict[str, Any] = dict(data_root=str(data.path))
    if data.from_folder:
        pipeline = [dict(type='mmpretrain.LoadImageFromFile'), pack]
        dataset.update(type='mmpretrain.CustomDataset', data_prefix=split, pipeline=pipeline)
    else:
        dataset.update(type='mmpretrain.CIFAR10', split=split, download=False, pipeline=[pack])
    if split == 'train' and (count := settings.images_per_class):
        return dict(type='mmrot.PerClassSubset', num_per_class=count, dataset=dataset)
    return dataset


def _loader(
    split: str, dataset: dict[str, Any], with_samples: bool = True, **crops: Any
) -> dict[str, Any]:
    """Return a dataloader that keeps the images in memory and augments whole batches."""
    return dict(
        num_workers=0,
        persistent_workers=False,
        pin_memory=False,
        collate_fn=dict(type='mmrot.as_is'),
        dataset=dict(
            _delete_=True,
            type='mmrot.InMemoryImages',
            dataset=dataset,
            crop_size=32,
            flip=split == 'train',
            with_samples=with_samples,
            **crops,
        ),
    )


def _set_width(model: Config, width: int) -> None:
    """Change the width of a NIN and the input sizes of its probes."""
    backbone = model.backbone
    backbone.width = width
    network = NIN(backbone.num_blocks, width, out_indices=backbone.out_indices).eval()
    maps = network(torch.zeros(1, 3, 32, 32))
    for probe, features in zip(model.head.probes.values(), maps, strict=True):
        if 'in_features' in probe:
            probe.in_features = features.numel()
        else:
            probe.update(in_channels=features.shape[1], width=width)


def _can_compile() -> bool:
    """Return whether the compiler and the headers that Triton needs are installed."""
    header = Path(sysconfig.get_path('include'), 'Python.h')
    return shutil.which('gcc') is not None and header.exists()
