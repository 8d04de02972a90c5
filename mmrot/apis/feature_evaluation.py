"""Evaluate frozen features without training a network: kNN, SVMs, low-shot SVMs."""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process

from mmrot.engine.evaluation_data import build_split
from mmrot.engine.preflight import check_unused
from mmrot.errors import UserError
from mmrot.evaluation.features import Features, Pool
from mmrot.evaluation.knn import knn_accuracy
from mmrot.evaluation.svm import LOW_SHOT_KS, MEASURES, evaluate_low_shot, evaluate_svm
from mmrot.results import Record, data_name, environment, print_tables, write_results
from mmrot.weights.checkpoint import sha256

from .features import RANDOM, extract_features

KNN_KS = (10, 20, 100, 200)
# Approximate number of elements per image to which the SVM protocol pools feature maps.
SVM_ELEMENTS = 9000
_INTERPOLATED, *_OTHER_MEASURES = MEASURES


def evaluate_features(
    kind: str,
    cfg: Config,
    checkpoint: str,
    work_dir: str | Path,
    stages: Sequence[str] | None = None,
    pool: Pool | None = None,
    ks: Sequence[int] | None = None,
    jobs: int = -1,
    trust: bool = False,
) -> list[Record]:
    """Extract features of the training and test data and evaluate them.

    Prints the published tables with the measured rows, and writes them to
    ``results.json`` and ``results.md`` in the work directory. An interrupted run
    resumes where it stopped. In a distributed job, all processes extract features
    and rank 0 evaluates them.

    Args:
        kind: ``'knn'`` (cosine similarity, votes weighted with a temperature of 0.07),
            ``'svm'`` or ``'lowshot'``.
        cfg: Config with labelled training and test data.
        checkpoint: Pretraining checkpoint, bare backbone, or ``'random'``.
        work_dir: Folder for features and results.
        stages: Stages, see :func:`extract_features`. Defaults to the last stage of the
            config for kNN and to all of them for SVMs.
        pool: Pooling, see :func:`extract_features`. Defaults to average pooling for
            kNN, and for SVMs to ``pools`` of the config, or else to about 9000
            elements.
        ks: Numbers of neighbours for kNN, or of positives per class for low-shot
            SVMs.
        jobs: Number of processes that train SVMs; -1 for one per core.
        trust: Whether to unpickle arbitrary objects in the checkpoint.

    Returns:
        Measured results; empty on ranks other than 0.

    Raises:
        UserError: If the data have no labels or too few images, or the work
            directory already contains results.
    """
    work_dir = Path(work_dir)
    check_unused(work_dir)
    if pool is None:
        pool = 'avg' if kind == 'knn' else cfg.get('pools') or SVM_ELEMENTS
    if stages is None and kind == 'knn':
        outputs = cfg.model.backbone.get('out_indices')
        stages = outputs if outputs is None else [*outputs][-1:]
    found = [
        extract_features(
            cfg, checkpoint, work_dir / 'features' / split, split, None, stages, pool, trust
        )
        for split in ('train', 'test')
    ]
    if not is_main_process():
        return []
    train, test = found
    for split, features in zip(('train', 'test'), found, strict=True):
        if features.labels is None:
            raise UserError(f'The {split} data of the config have no labels.')
    if train.classes != test.classes:
        raise UserError('The training and the test data have different classes.')
    file = Path(checkpoint)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    common = dict(
        data=data_name(build_split(copy.deepcopy(cfg), 'test')),
        images=len(test.files),
        training_images=len(train.files),
        config=Path(cfg.filename or '').name,
        checkpoint=checkpoint,
        checkpoint_sha256=sha256(file) if file.is_file() else None,
        seed=seed if checkpoint == RANDOM else None,
        **environment(),
    )
    row = 'random' if checkpoint == RANDOM else 'RotNet'
    if kind == 'knn':
        records = _knn(train, test, row, common, ks or KNN_KS)
    elif kind == 'svm':
        records = _svm(train, test, row, common, work_dir / 'svm', jobs)
    else:
        records = _low_shot(train, test, row, common, work_dir / 'low_shot', ks, jobs)
    write_results(records, work_dir)
    print_tables(records)
    return records


def _knn(
    train: Features, test: Features, row: str, common: dict[str, Any], ks: Sequence[int]
) -> list[Record]:
    assert train.labels is not None
    assert test.labels is not None
    if train.labels.ndim == 2:
        raise UserError('kNN requires single-label images. Use SVMs instead.')
    records = []
    for stage, bank in train.stages.items():
        accuracies = knn_accuracy(
            test.stages[stage], test.labels, bank, train.labels, ks, device=get_device()
        )
        records.append(
            Record(
                table='resnet50_imagenet_knn',
                row=_row(row, stage, train),
                values={str(k): value for k, value in accuracies.items()},
                **common,
            )
        )
    return records


def _svm(
    train: Features, test: Features, row: str, common: dict[str, Any], folder: Path, jobs: int
) -> list[Record]:
    values: dict[str, dict[str, float]] = {measure: {} for measure in MEASURES}
    for stage, results in _per_stage(train, test, folder, evaluate_svm, jobs=jobs).items():
        for measure in MEASURES:
            found = [result['average_precision'][measure] for result in results]
            values[measure][stage] = 100 * sum(found) / len(found)
    rows = {_INTERPOLATED: row, **{name: f'{row}, {name}' for name in _OTHER_MEASURES}}
    return [
        Record(table='resnet50_voc07_svm', row=rows[measure], values=stages, **common)
        for measure, stages in values.items()
    ]


def _low_shot(
    train: Features,
    test: Features,
    row: str,
    common: dict[str, Any],
    folder: Path,
    ks: Sequence[int] | None,
    jobs: int,
) -> list[Record]:
    records = []
    stages = _per_stage(train, test, folder, evaluate_low_shot, ks=ks or LOW_SHOT_KS, jobs=jobs)
    for stage, summary in stages.items():
        name = _row(row, stage, train)
        rows = {
            name: _INTERPOLATED,
            f'{name}, cost chosen on training images': 'validated',
            **{f'{name}, {measure}': measure for measure in _OTHER_MEASURES},
        }
        for title, key in rows.items():
            found = {k: result[key] for k, result in summary.items() if result[key]}
            samples = len(next(iter(found.values()), ()))
            records += [
                Record(
                    table='resnet50_voc07_low_shot',
                    row=title,
                    values={str(k): 100 * means[sample] for k, means in found.items()},
                    # the table shows mean and spread over the samples
                    **{**common, 'seed': sample},
                )
                for sample in range(samples)
            ]
    return records


def _per_stage(
    train: Features, test: Features, folder: Path, evaluate: Callable, **settings: Any
) -> dict[str, Any]:
    return {
        stage: evaluate(
            (features, train.labels),
            (test.stages[stage], test.labels),
            train.classes,
            folder / stage,
            **settings,
        )
        for stage, features in train.stages.items()
    }


def _row(row: str, stage: str, features: Features) -> str:
    return row if len(features.stages) == 1 else f'{row}, {stage}'
