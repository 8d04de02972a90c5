"""The demo: learn rotations of scanned digits, then see what was learned."""

import copy
import json
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner as MMEngineRunner
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from mmrot.config import config_path
from mmrot.engine.runner import Runner
from mmrot.errors import UserError
from mmrot.evaluation.features import extract_features
from mmrot.visualization import draw_rotation_predictions

LABELS_PER_CLASS = 20
LABEL_DRAWS = 5


def draw_per_class(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw samples of each class.

    Args:
        labels (np.ndarray): (N,) class indices.
        count (int): Samples per class.
        seed (int): Seed of the draw.

    Returns:
        np.ndarray: Sorted indices into ``labels``.

    Raises:
        UserError: If a class has fewer samples; names it.
    """
    rng = np.random.default_rng(seed)
    chosen = []
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        if len(indices) < count:
            raise UserError(f'class {label} has {len(indices)} samples: expected {count}')
        chosen.extend(rng.choice(indices, count, replace=False))
    return np.sort(chosen)


def probe_accuracy(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> float:
    """Train a linear classifier on frozen features.

    Args:
        train (tuple[np.ndarray, np.ndarray]): Features (N, D) and labels (N,).
        test (tuple[np.ndarray, np.ndarray]): The same of the test images.

    Returns:
        float: Accuracy on ``test`` in percent.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return float(probe.fit(*train).score(*test)) * 100


def probe_blocks(cfg: Config, backbone: nn.Module) -> list[float]:
    """Probe every block of a backbone with few labels.

    The features are the block's channels averaged over positions, which is
    what the rotation head sees of the last block.

    Args:
        cfg (Config): The demo's config, for its data sets.
        backbone (nn.Module): Returns a map for each block.

    Returns:
        list[float]: Accuracy for each block in percent, the mean over several
        draws of the labelled digits.
    """
    preprocessor = MODELS.build(
        dict(type='mmpretrain.ClsDataPreprocessor', **cfg.data_preprocessor)
    )
    splits = []
    for dataloader in (cfg.train_dataloader, cfg.test_dataloader):
        loader_cfg = copy.deepcopy(dataloader)
        loader_cfg.dataset.pipeline = cfg.test_pipeline
        loader_cfg.sampler.shuffle = False
        loader = MMEngineRunner.build_dataloader(loader_cfg)
        splits.append(extract_features(backbone, preprocessor, loader))
    (train, train_labels), (test, test_labels) = splits
    draws = [draw_per_class(train_labels, LABELS_PER_CLASS, seed) for seed in range(LABEL_DRAWS)]
    return [
        float(np.mean([probe_accuracy((x[d], train_labels[d]), (y, test_labels)) for d in draws]))
        for x, y in zip(train, test, strict=True)
    ]


def one_of_each(batch: dict, count: int) -> torch.Tensor:
    """Pick the first image of each class, ``count`` classes at the most.

    Args:
        batch (dict): One collated batch of N images (C, H, W) with labels.
        count (int): How many images to pick.

    Returns:
        torch.Tensor: (M, C, H, W), M ≤ ``count``.
    """
    labels = [int(sample.gt_label) for sample in batch['data_samples']]
    first = np.unique(labels, return_index=True)[1][:count]
    return torch.stack([batch['inputs'][int(index)] for index in first])


def run_demo(work_dir: str, cfg_options: dict | None = None) -> dict:
    """Train, probe, print a table and draw a picture.

    Args:
        work_dir (str): Where the log, ``demo.json`` and ``rotations.png`` go.
        cfg_options (dict, optional): Changes to ``rotnet/nin4_digits.py``.

    Returns:
        dict: ``rotation_accuracy``, and ``rotnet`` and ``random``, the probes'
        accuracies for each block, in percent; ``train_seconds``.
    """
    cfg = Config.fromfile(config_path('rotnet/nin4_digits.py'))
    cfg.work_dir = work_dir
    cfg.log_level = 'ERROR'
    cfg.custom_hooks = [dict(type='mmrot.ProgressLineHook')]
    cfg.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_epochs, save_best=None)
    cfg.merge_from_dict(cfg_options or {})
    print('Learning to tell by which multiple of 90° a scanned digit was turned, without labels:')
    start = time.time()
    runner = Runner.from_cfg(cfg)
    model = runner.train()
    train_seconds = time.time() - start
    rotation_accuracy = runner.val()['rotation/accuracy']

    print(f'Probing the blocks with {LABELS_PER_CLASS} labels per class ...')
    accuracies = {}
    for name in ('rotnet', 'random'):
        backbone_cfg = {**cfg.model.backbone, 'out_indices': (0, 1, 2, 3)}
        backbone = MODELS.build(backbone_cfg)
        backbone.init_weights()
        if name == 'rotnet':
            backbone.load_state_dict(model.backbone.state_dict())
        accuracies[name] = probe_blocks(cfg, backbone)

    table = Table(title=f'Digits: rotation accuracy {rotation_accuracy:.1f} % (chance: 25 %)')
    table.add_column(f'linear probe, {LABELS_PER_CLASS} labels a class')
    table.add_column('RotNet features', justify='right')
    table.add_column('random features', justify='right')
    pairs = list(zip(accuracies['rotnet'], accuracies['random'], strict=True))
    for index, (rotnet, random) in enumerate(pairs):
        table.add_row(f'block {index + 1}', f'{rotnet:.1f} %', f'{random:.1f} %')
    Console().print(table)

    images = one_of_each(next(iter(runner.val_dataloader)), count=7)
    figure = draw_rotation_predictions(model, images)
    picture = Path(work_dir) / 'rotations.png'
    figure.savefig(picture, dpi=150)
    plt.close(figure)
    result = dict(
        rotation_accuracy=rotation_accuracy, **accuracies, train_seconds=round(train_seconds, 1)
    )
    (Path(work_dir) / 'demo.json').write_text(json.dumps(result, indent=2) + '\n')
    print(f'Training took {train_seconds:.0f} s. Predictions on test digits: {picture}')
    return result
