"""The demo: pretrain on scanned digits without labels, then classify them with few labels."""

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

from mmrot.apis.config_changes import with_monitors
from mmrot.config import config_path
from mmrot.datasets import Digits, InMemoryImages
from mmrot.datasets.per_class_subset import draw_per_class
from mmrot.engine.runner import Runner
from mmrot.evaluation.features import Features, extract_dataset
from mmrot.files import write_atomically
from mmrot.visualization import draw_rotation_predictions

LABELS_PER_CLASS = (2, 5, 10, 20)
LABELS_OF_BLOCKS = 10
VALIDATION_PER_CLASS = 20
RUNS = 3  # pretrainings, each with its own seed
DRAWS = 3  # of the labelled digits in each run
BLOCKS = ('block 1', 'block 2', 'block 3', 'block 4')
METHODS = {
    'rotnet': 'RotNet features',
    'random': 'random features',
    'supervised': 'trained from scratch',
}
ELEMENTS = 768  # of a pooled map; the size of blocks 2 to 4 at width 48
STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse regularisation of linear classifiers
STEPS, BATCH_SIZE = 400, 32  # of training from scratch


def demo_config(work_dir: str, seed: int, cfg_options: Mapping | None = None) -> Config:
    """Return the config of one pretraining run.

    A third of the digits is held out for testing, and the schedule is shorter than that of
    ``rotnet/nin4_digits.py``. A monitor shows the kNN accuracy of block 2, for which it uses the
    labels; the training does not.

    Args:
        work_dir: Output folder.
        seed: Random seed.
        cfg_options: Further changes.
    """
    cfg = Config.fromfile(config_path('rotnet/nin4_digits.py'))
    cfg.work_dir = work_dir
    cfg.log_level = 'ERROR'
    cfg.experiment_name = f'demo_seed{seed}'
    cfg.randomness.seed = seed
    cfg.custom_hooks = [dict(type='mmrot.ProgressLineHook')]
    cfg.overwrite = True
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].dataset.hold_out = 3
    cfg.train_cfg.update(max_epochs=15, val_interval=5)
    cfg.param_scheduler.milestones = [8, 11, 13]
    cfg = with_monitors(cfg, ['knn'])
    cfg.default_hooks.knn_monitor.update(stages=['block2'], num_workers=0)
    cfg.merge_from_dict(dict(cfg_options or {}))
    cfg.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_epochs, save_best=None)
    return cfg


def split_labels(
    labels: np.ndarray, num_per_class: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw labelled training and validation images, with equal numbers per class.

    Args:
        labels: Class indices (N,).
        num_per_class: Number K of training images per class.
        seed: Random seed. The validation images do not depend on K.

    Returns:
        Disjoint indices of the training and of the validation images.
    """
    drawn = draw_per_class(labels, VALIDATION_PER_CLASS + num_per_class, seed)  # (C, V + K)
    return drawn[:, VALIDATION_PER_CLASS:].ravel(), drawn[:, :VALIDATION_PER_CLASS].ravel()


def probe_blocks(
    train: Features, test: Features, num_per_class: int, seed: int
) -> tuple[str, dict[str, float]]:
    """Train a linear classifier on each block with few labels.

    Validation images select the regularisation of each classifier and the block.

    Args:
        train: Features from which training and validation images are drawn.
        test: Features of the test images.
        num_per_class: Number of training images per class.
        seed: Random seed of the draw.

    Returns:
        Name of the selected block, and the test accuracy of each block in percent.
    """
    labels, test_labels = np.asarray(train.labels), np.asarray(test.labels)
    fit, val = split_labels(labels, num_per_class, seed)
    best: dict[str, tuple[float, float]] = {}  # accuracy on validation and test images
    for name, x in train.stages.items():
        for strength in STRENGTHS:
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
            probe.fit(x[fit], labels[fit])
            accuracy = probe.score(x[val], labels[val])
            if name not in best or accuracy > best[name][0]:
                best[name] = accuracy, probe.score(test.stages[name], test_labels)
    selected = max(best, key=lambda name: best[name][0])
    return selected, {name: 100 * accuracy for name, (_, accuracy) in best.items()}


def extract_blocks(cfg: Config, backbone: nn.Module, split: str) -> Features:
    """Extract the features of all blocks for the digits of one split.

    Maps are average pooled to about equal numbers of elements, as for the paper's
    linear classifiers (Table 5).

    Args:
        cfg: Config of the pretraining.
        backbone: Network that returns the maps of all blocks.
        split: ``'train'`` or ``'test'``.
    """
    pools = dict.fromkeys(BLOCKS, ELEMENTS)
    return extract_dataset(
        backbone, MODELS.build(_preprocessor(cfg)), _digits(cfg, split), pools, 100
    )


def supervised_accuracy(
    cfg: Config, train: InMemoryImages, test: InMemoryImages, num_per_class: int, seed: int
) -> float:
    """Train the network of the pretraining from scratch with few labels.

    Args:
        cfg: Config of the pretraining, for the network and the optimizer.
        train: Images from which training images are drawn, with augmentation.
        test: Test images.
        num_per_class: Number of training images per class.
        seed: Random seed of the draw, the initialisation and the batches.

    Returns:
        Test accuracy in percent.
    """
    torch.manual_seed(seed)
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            backbone=cfg.model.backbone,
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=10,
                in_channels=cfg.model.head.in_channels,
                loss=dict(type='mmpretrain.CrossEntropyLoss'),
            ),
            data_preprocessor=_preprocessor(cfg),
        )
    )
    model.init_weights()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    scheduler = MultiStepLR(optim_wrapper.optimizer, [STEPS // 2, STEPS * 3 // 4], gamma=0.2)
    labelled, _ = split_labels(_labels(train), num_per_class, seed)
    rng = np.random.default_rng(seed)
    for _ in range(STEPS):
        batch = train.__getitems__(rng.permutation(labelled)[:BATCH_SIZE])
        model.train_step(batch, optim_wrapper)
        scheduler.step()
    model.eval()
    samples = model.test_step(test.__getitems__(range(len(test))))
    predictions = np.array([int(sample.pred_label) for sample in samples])
    return 100 * float(np.mean(predictions == _labels(test)))


def run_demo(work_dir: str, cfg_options: Mapping | None = None) -> dict:
    """Pretrain, classify with few labels, print the results and plot predictions.

    Args:
        work_dir: Output folder of ``demo.json``, ``rotations.png``, and for each
            run a folder with log and checkpoint.
        cfg_options: Changes to the config of the pretraining.

    Returns:
        Content of ``demo.json``: ``rotation_accuracy`` of each run; ``rotnet``,
        ``random`` and ``supervised``: labels per class → accuracy of each run and
        draw; ``blocks``: the same by block, with 10 labels per class; all in
        percent. ``train_seconds`` of the pretrainings and ``seconds`` in total.
    """
    start = time.monotonic()
    train_seconds = 0.0
    rotation_accuracy: list[float] = []
    accuracies: dict = {name: defaultdict(list) for name in METHODS}
    blocks: dict = {name: defaultdict(list) for name in ('rotnet', 'random')}
    for seed in range(RUNS):
        cfg = demo_config(str(Path(work_dir, f'seed{seed}')), seed, cfg_options)
        print(f'Run {seed + 1} of {RUNS}: learning to recognise rotations, without labels')
        train_start = time.monotonic()
        runner = Runner.from_cfg(cfg)
        model = runner.train()
        train_seconds += time.monotonic() - train_start
        rotation_accuracy.append(runner.val()['rotation/accuracy'])

        print(f'Run {seed + 1} of {RUNS}: classifying digits with few labels')
        few_labels = [*product(LABELS_PER_CLASS, range(seed * DRAWS, (seed + 1) * DRAWS))]
        for name in blocks:
            backbone = MODELS.build({**cfg.model.backbone, 'out_indices': range(len(BLOCKS))})
            backbone.init_weights()
            if name == 'rotnet':
                backbone.load_state_dict(model.backbone.state_dict())
            train, test = (extract_blocks(cfg, backbone, split) for split in ('train', 'test'))
            for count, draw in few_labels:
                selected, by_block = probe_blocks(train, test, count, draw)
                accuracies[name][str(count)].append(by_block[selected])
                if count == LABELS_OF_BLOCKS:
                    for block, accuracy in by_block.items():
                        blocks[name][block].append(accuracy)
        train_images = InMemoryImages(_digits(cfg, 'train'), padding=1)
        test_images = InMemoryImages(_digits(cfg, 'test'))
        for count, draw in few_labels:
            accuracy = supervised_accuracy(cfg, train_images, test_images, count, draw)
            accuracies['supervised'][str(count)].append(accuracy)

    _print_table('labels per class', accuracies)
    _print_table(f'{LABELS_OF_BLOCKS} labels per class', blocks)
    one_per_class = draw_per_class(_labels(test_images), 1)[:, 0]
    figure = draw_rotation_predictions(model, test_images.images[one_per_class])
    picture = Path(work_dir, 'rotations.png')
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    result = dict(
        rotation_accuracy=rotation_accuracy,
        **accuracies,
        blocks=blocks,
        train_seconds=round(train_seconds, 1),
        seconds=round(time.monotonic() - start, 1),
    )
    write_atomically(Path(work_dir, 'demo.json'), json.dumps(result, indent=2) + '\n')
    print(
        f'Rotation accuracy on test digits: {_mean_std(rotation_accuracy)} % (chance: 25 %).\n'
        f'Predicted rotations: {picture}\n'
        f'{result["seconds"]:.0f} s, of which {train_seconds:.0f} s pretraining.'
    )
    return result


def _digits(cfg: Config, split: str) -> Digits:
    dataset = cfg.test_dataloader.dataset
    return Digits(split, dataset.size, dataset.hold_out, pipeline=cfg.test_pipeline)


def _labels(images: InMemoryImages) -> np.ndarray:
    return np.array([int(sample.gt_label) for sample in images.samples])


def _preprocessor(cfg: Config) -> dict:
    return dict(type='mmpretrain.ClsDataPreprocessor', **cfg.data_preprocessor)


def _mean_std(values: Sequence[float]) -> str:
    return f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'


def _print_table(corner: str, accuracies: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Print accuracies as mean ± sample standard deviation, one row per method."""
    table = Table(title=f'Accuracy on test digits in %, mean ± std of {RUNS * DRAWS} runs')
    table.add_column(corner)
    for column in accuracies['rotnet']:
        table.add_column(column, justify='right')
    for name, results in accuracies.items():
        table.add_row(METHODS[name], *map(_mean_std, results.values()))
    Console().print(table)
