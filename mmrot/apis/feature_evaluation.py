"""Evaluate frozen features without training a network: kNN, SVMs, low-shot SVMs."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process
from torch.utils.data import Dataset

from mmrot.engine.evaluation_data import build_split
from mmrot.engine.preflight import check_unused
from mmrot.errors import UserError
from mmrot.evaluation.features import Features, Pool, read_annotations
from mmrot.evaluation.knn import knn_accuracy
from mmrot.evaluation.svm import (
    LOW_SHOT_KS,
    MEASURES,
    check_counts,
    evaluate_low_shot,
    evaluate_svm,
)
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
    stages: str | int | Sequence[str | int] | None = None,
    pool: Pool | None = None,
    ks: Sequence[int] | None = None,
    jobs: int = -1,
    trust: bool = False,
    overwrite: bool = False,
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
        stages: Stages, see :func:`extract_features`. Defaults to the last output of
            the config's backbone for kNN and to all outputs for SVMs.
        pool: Pooling, see :func:`extract_features`. Defaults to average pooling for
            kNN, and for SVMs to ``pools`` of the config, or else to about 9000
            elements.
        ks: Numbers of neighbours for kNN, or of positives per class for low-shot
            SVMs.
        jobs: Number of processes that train SVMs; -1 for one per core.
        trust: Whether to unpickle arbitrary objects in the checkpoint.
        overwrite: Whether to replace the results of an earlier run, whose features and
            SVMs are used again.

    Returns:
        Measured results; empty on ranks other than 0.

    Raises:
        UserError: If the data have no labels or too few images, or the work
            directory already contains results; before the extraction. See also
            :func:`extract_features`.
    """
    work_dir = Path(work_dir)
    if not overwrite:
        check_unused(work_dir, resumable=False)
    if pool is None:
        # extract_features reads the pools of the config
        pool = 'avg' if kind == 'knn' else None if cfg.get('pools') else SVM_ELEMENTS
    if stages is None and kind == 'knn':
        stages = -1
    if ks is None:
        ks = KNN_KS if kind == 'knn' else LOW_SHOT_KS
    # all processes build the data, since they agree on a seed for it
    data = {split: build_split(copy.deepcopy(cfg), split) for split in ('train', 'test')}
    _check_annotations(kind, data, ks)
    train, test = (
        extract_features(
            cfg, checkpoint, work_dir / 'features' / split, split, None, stages, pool, trust
        )
        for split in ('train', 'test')
    )
    if not is_main_process():
        return []
    file = Path(checkpoint)
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    common = dict(
        data=data_name(data['test']),
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
        records = _knn(train, test, row, common, ks)
    elif kind == 'svm':
        records = _svm(train, test, row, common, work_dir / 'svm', jobs)
    else:
        records = _low_shot(train, test, row, common, work_dir / 'low_shot', ks, jobs)
    write_results(records, work_dir)
    print_tables(records)
    for record in records:
        other_measure = record.row.endswith(tuple(_OTHER_MEASURES))
        if record.costs and record.sample == 0 and not other_measure:
            costs = ', '.join(f'{cost:g} for k = {k}' for k, cost in record.costs.items())
            print(f'Costs, {record.row}: {costs}')
    return records


def _check_annotations(kind: str, data: Mapping[str, Dataset], ks: Sequence[int]) -> None:
    """Check that the data have the labels that an evaluation needs, and enough images."""
    found = {}
    for split, dataset in data.items():
        _, labels, classes = read_annotations(dataset)
        if labels is None:
            raise UserError(f'The {split} data of the config have no labels.')
        found[split] = labels, classes
    (train, train_classes), (test, test_classes) = found['train'], found['test']
    if train_classes != test_classes:
        raise UserError('The training and the test data have different classes.')
    if kind != 'knn':
        names = _class_names(train, train_classes)
        check_counts(train, test, names, ks if kind == 'lowshot' else None)
    elif train.ndim == 2:
        raise UserError('kNN requires single-label images. Use SVMs instead.')
    elif max(ks) > len(train):
        raise UserError(
            f'k={max(ks)} exceeds the number of training images, {len(train)}. Choose other '
            'numbers of neighbours with --k.'
        )


def _class_names(labels: np.ndarray, classes: Sequence[str]) -> Sequence[str]:
    return classes or [str(index) for index in range(int(labels.max()) + 1)]


def _knn(
    train: Features, test: Features, row: str, common: dict[str, Any], ks: Sequence[int]
) -> list[Record]:
    assert train.labels is not None
    assert test.labels is not None
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
    ks: Sequence[int],
    jobs: int,
) -> list[Record]:
    records = []
    stages = _per_stage(train, test, folder, evaluate_low_shot, ks=ks, jobs=jobs)
    for stage, summary in stages.items():
        name = _row(row, stage, train)
        rows = {
            name: _INTERPOLATED,
            f'{name}, cost chosen on training images': 'validated',
            **{f'{name}, {measure}': measure for measure in _OTHER_MEASURES},
        }
        for title, key in rows.items():
            found = {k: result[key] for k, result in summary.items() if result[key]}
            cost = 'validated_cost' if key == 'validated' else 'cost'
            samples = len(next(iter(found.values()), ()))
            records += [
                Record(
                    table='resnet50_voc07_low_shot',
                    row=title,
                    values={str(k): 100 * means[sample] for k, means in found.items()},
                    costs={str(k): summary[k][cost] for k in found},
                    sample=sample,  # the table shows mean and spread over the samples
                    **common,
                )
                for sample in range(samples)
            ]
    return records


def _per_stage(
    train: Features, test: Features, folder: Path, evaluate: Callable, **settings: Any
) -> dict[str, Any]:
    assert train.labels is not None
    return {
        stage: evaluate(
            (features, train.labels),
            (test.stages[stage], test.labels),
            _class_names(train.labels, train.classes),
            folder / stage,
            **settings,
        )
        for stage, features in train.stages.items()
    }


def _row(row: str, stage: str, features: Features) -> str:
    return row if len(features.stages) == 1 else f'{row}, {stage}'
