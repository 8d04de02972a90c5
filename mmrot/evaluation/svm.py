"""Linear SVMs on features, one per class: the VOC 2007 and low-shot protocols.

Goyal et al., *Scaling and Benchmarking Self-Supervised Visual Representation
Learning*, ICCV 2019, with the settings of the code behind the results of the
ResNet-50 page.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.progress import track
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from mmrot.errors import UserError
from mmrot.files import write_atomically

from .average_precision import average_precision_area, average_precision_interpolated
from .voc07_average_precision import average_precision_11_points

COSTS = (1.0, 10.0, 100.0, *(0.5**n for n in range(4, 20)))
LOW_SHOT_KS = (1, 2, 4, 8, 16, 32, 64, 96)
LOW_SHOT_SAMPLES = 5
NEGATIVES_PER_POSITIVE = 19
_FOLDS = 3
# The source's own measure comes first.
MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    'interpolated': average_precision_interpolated,
    'area': average_precision_area,
    '11 points': average_precision_11_points,
}


def class_targets(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Convert labels to the targets of one SVM per class.

    Args:
        labels: Class indices (N,), or targets (N, C): 1 for the classes of an image,
            0 for others, -1 for those that only difficult objects have.
        num_classes: Number of classes C.

    Returns:
        Targets (N, C), int8.
    """
    if labels.ndim == 2:
        return labels.astype(np.int8)
    return (labels[:, None] == np.arange(num_classes)).astype(np.int8)


def unit_features(features: np.ndarray) -> np.ndarray:
    """L2-normalise features in float64, with 1e-5 added to their norms.

    Args:
        features: (N, D).

    Returns:
        (N, D).

    Raises:
        UserError: If a feature is not finite.
    """
    features = np.asarray(features, dtype=np.float64)
    if not (finite := np.isfinite(features).all(1)).all():
        raise UserError(f'The features of image {int(finite.argmin())} are not finite.')
    return features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-5)


def build_svm(cost: float) -> LinearSVC:
    """Build the classifier of one class: positives have twice the weight of negatives."""
    return LinearSVC(
        C=cost, loss='squared_hinge', class_weight={1: 2, 0: 1}, max_iter=2000, random_state=0
    )


def evaluate_svm(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    folder: str | Path,
    costs: Sequence[float] = COSTS,
    jobs: int = -1,
) -> list[dict[str, Any]]:
    """Train and test one SVM per class, with its cost chosen by 3-fold cross-validation.

    Classes run in parallel processes. The result of each is written to
    ``folder`` when it is done, and reused by later calls.

    Args:
        train: Features (N, D) and labels of the training images, see
            :func:`class_targets`. Difficult objects are negatives.
        test: Features and labels of the test images. For each class, images with
            only difficult objects of it are ignored.
        classes: Names of the classes.
        folder: Folder for the results of the classes.
        costs: Candidate costs, compared by the mean average precision over the folds.
        jobs: Number of processes; -1 for one per core.

    Returns:
        For each class a dict with ``name``, ``cost``, ``validation``, the
        average precision in cross-validation, and ``average_precision`` on the
        test images by each of :data:`MEASURES`, all from 0 to 1.

    Raises:
        UserError: If a class has fewer than 3 positives or negatives among the
            training images or no test image, features are not finite, or ``folder``
            contains results of other features.
    """
    check_counts(train[1], test[1], classes)
    return _per_class(_evaluate_class, train, test, classes, folder, jobs, costs)


def evaluate_low_shot(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    folder: str | Path,
    ks: Sequence[int] = LOW_SHOT_KS,
    costs: Sequence[float] = COSTS,
    samples: int = LOW_SHOT_SAMPLES,
    jobs: int = -1,
) -> dict[int, dict[str, Any]]:
    """Train one SVM per class on k positives and 19k negatives, several times.

    The source reports the cost with the best average precision **on the test
    images**, averaged over classes and samples. Its average precision is returned
    along with that of the cost chosen on the training images that were not drawn.
    Classes run in parallel and resume as in :func:`evaluate_svm`.

    Args:
        train: Features and labels, as in :func:`evaluate_svm`.
        test: Features and labels, as in :func:`evaluate_svm`.
        classes: Names of the classes.
        folder: Folder for the results of the classes.
        ks: Numbers of positives.
        costs: Candidate costs.
        samples: Number of draws, seeded by their index.
        jobs: Number of processes; -1 for one per core.

    Returns:
        For each k a dict with ``cost`` and, by each of :data:`MEASURES`, the
        mean average precision of each sample; ``validated_cost`` and
        ``validated``, the mean average precision of each sample at that cost by
        the first measure; both None if all training images were drawn.

    Raises:
        UserError: If a class has fewer than k positives or 19k negatives; see also
            :func:`evaluate_svm`.
    """
    check_counts(train[1], test[1], classes, ks)
    results = _per_class(_low_shot_class, train, test, classes, folder, jobs, costs, ks, samples)
    tested = np.array([result['test'] for result in results])  # (C, K, S, costs, measures)
    # None (not enough images) becomes NaN
    validated = np.array(
        [result['validation'] for result in results], dtype=float
    )  # (C, K, S, costs)
    summary = {}
    for index, k in enumerate(ks):
        means = tested[:, index].mean(0)  # (S, costs, measures)
        best = int(means[..., 0].mean(0).argmax())
        summary[k] = {'cost': costs[best], 'validated_cost': None, 'validated': None}
        for column, measure in enumerate(MEASURES):
            summary[k][measure] = means[:, best, column].tolist()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', RuntimeWarning)  # mean of empty slice
            scores = np.nanmean(validated[:, index], axis=(0, 1))  # (costs,)
        if np.isfinite(scores).all():
            chosen = int(scores.argmax())
            summary[k]['validated_cost'] = costs[chosen]
            summary[k]['validated'] = means[:, chosen, 0].tolist()
    return summary


def check_counts(
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    classes: Sequence[str],
    ks: Sequence[int] | None = None,
) -> None:
    """Check that there are enough images of each class.

    Args:
        train_labels: Labels of the training images, see :func:`class_targets`.
        test_labels: Labels of the test images.
        classes: Names of the classes.
        ks: Numbers of positives of low-shot SVMs; None for cross-validation.

    Raises:
        UserError: If a class has too few training images or no test image, or too few
            training images do not have it; or if ``ks`` or the labels are invalid.
    """
    if ks is not None and (not ks or min(ks) < 1):
        raise UserError(f'ks={tuple(ks)} are not one or more positive integers.')
    for split, labels in (('training', train_labels), ('test', test_labels)):
        if labels.ndim == 2 and labels.shape[1] != len(classes):
            raise UserError(
                f'The {split} labels have {labels.shape[1]} classes, not {len(classes)}.'
            )
    positives = max(ks) if ks else _FOLDS
    negatives = NEGATIVES_PER_POSITIVE * positives if ks else _FOLDS
    train, test = (class_targets(x, len(classes)) for x in (train_labels, test_labels))
    for index, name in enumerate(classes):
        # cross-validation counts images with difficult objects only as negatives
        is_negative = train[:, index] == 0 if ks else train[:, index] != 1
        for needed, found, what in (
            (positives, int((train[:, index] == 1).sum()), 'training images'),
            (negatives, int(is_negative.sum()), 'negatives'),
        ):
            if found < needed:
                raise UserError(f'Class {name} needs at least {needed} {what}, but has {found}.')
        if not (test[:, index] == 1).any():
            raise UserError(f'Class {name} has no test images.')


def draw_low_shot(targets: np.ndarray, k: int, seed: Sequence[int]) -> np.ndarray:
    """Draw k positives and 19k negatives of one class without replacement.

    Args:
        targets: Targets of one class, (N,), see :func:`class_targets`.
        k: Number of positives.
        seed: Seed of the draw.

    Returns:
        Indices (20k,), positives first.

    Raises:
        ValueError: If there are too few, see :func:`check_counts`.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        rng.choice(np.flatnonzero(targets == value), count, replace=False)
        for value, count in ((1, k), (0, NEGATIVES_PER_POSITIVE * k))
    ]
    return np.concatenate(drawn)


def _per_class(
    evaluate: Callable[..., dict[str, Any]],
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    folder: str | Path,
    jobs: int,
    *settings: Any,
) -> list[dict[str, Any]]:
    """Evaluate the classes that have no result in the folder yet."""
    train_features, test_features = unit_features(train[0]), unit_features(test[0])
    train_targets = class_targets(train[1], len(classes))
    test_targets = class_targets(test[1], len(classes))
    fingerprint = hashlib.sha256(repr(settings).encode())
    for array in (train_features, train_targets, test_features, test_targets):
        fingerprint.update(np.ascontiguousarray(array).data)
    stamp = fingerprint.hexdigest()

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f'class_{index:03d}.json' for index in range(len(classes))]
    missing = []
    for index, file in enumerate(files):
        if not file.exists():
            missing.append(index)
        elif _read(file)['fingerprint'] != stamp:
            raise UserError(
                f'{file} was computed from other features or settings. Use another folder.'
            )
    # Parallel yields results as they finish, in any order
    done = Parallel(n_jobs=jobs, return_as='generator_unordered')(
        delayed(_indexed)(
            index,
            evaluate,
            (train_features, train_targets[:, index]),
            (test_features, test_targets[:, index]),
            index,
            *settings,
        )
        for index in missing
    )
    for index, result in track(done, total=len(missing), description='SVMs', transient=True):
        content = {'fingerprint': stamp, 'name': classes[index], **result}
        write_atomically(files[index], json.dumps(content, indent=1) + '\n')
    return [_read(file) for file in files]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
        content['fingerprint']
    except (ValueError, LookupError, TypeError) as error:
        raise UserError(
            f'{file} is damaged: {error!r}. Remove it to compute its class again.'
        ) from error
    return content


def _indexed(index: int, evaluate: Callable, *args: Any) -> tuple[int, dict[str, Any]]:
    with warnings.catch_warnings():
        # the protocol stops after 2000 iterations
        warnings.simplefilter('ignore', ConvergenceWarning)
        return index, evaluate(*args)


def _evaluate_class(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    index: int,
    costs: Sequence[float],
) -> dict[str, Any]:
    features, truth = train[0], (train[1] == 1).astype(int)  # difficult: negative
    scores = [
        cross_val_score(
            build_svm(cost), features, truth, cv=_FOLDS, scoring='average_precision'
        ).mean()
        for cost in costs
    ]
    best = int(np.argmax(scores))
    svm = build_svm(costs[best]).fit(features, truth)
    counted = test[1] >= 0
    predictions = svm.decision_function(test[0][counted])
    return {
        'cost': costs[best],
        'validation': float(scores[best]),
        'average_precision': {
            name: measure(predictions, test[1][counted]) for name, measure in MEASURES.items()
        },
    }


def _low_shot_class(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    index: int,
    costs: Sequence[float],
    ks: Sequence[int],
    samples: int,
) -> dict[str, Any]:
    features, targets = train
    counted = test[1] >= 0
    tested: list[list] = [[] for _ in ks]
    validated: list[list] = [[] for _ in ks]
    for row, k in enumerate(ks):
        for sample in range(samples):
            drawn = draw_low_shot(targets, k, (sample, k, index))
            svms = [build_svm(cost).fit(features[drawn], targets[drawn]) for cost in costs]
            left = targets >= 0
            left[drawn] = False
            predictions = [svm.decision_function(test[0][counted]) for svm in svms]
            tested[row].append(
                [
                    [measure(scores, test[1][counted]) for measure in MEASURES.values()]
                    for scores in predictions
                ]
            )
            enough = (targets[left] == 1).any()
            validated[row].append(
                [
                    average_precision_interpolated(
                        svm.decision_function(features[left]), targets[left]
                    )
                    if enough
                    else None
                    for svm in svms
                ]
            )
    return {'test': tested, 'validation': validated}
