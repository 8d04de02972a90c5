import json

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

from mmrot.errors import UserError
from mmrot.evaluation.average_precision import average_precision_interpolated
from mmrot.evaluation.svm import (
    COSTS,
    check_counts,
    class_targets,
    draw_low_shot,
    evaluate_low_shot,
    evaluate_svm,
    unit_features,
)

CLASSES = ('bird', 'boat', 'car')
FEW_COSTS = (0.01, 1.0)


def multi_label(count, seed, noise=0.1):
    """Images with the class c if and only if feature c is close to 1."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((count, len(CLASSES))) < 0.3).astype(np.int8)
    features = np.concatenate([targets, 1 - targets], 1)  # of equal norm
    features = features + rng.normal(scale=noise, size=features.shape)
    return features.astype(np.float32), targets


def test_costs_of_the_protocol():
    assert COSTS[:3] == (1, 10, 100)
    assert COSTS[3:] == tuple(0.5**n for n in range(4, 20))
    assert len(COSTS) == 19


def test_unit_features_add_to_the_norm():
    units = unit_features(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(units, [[3 / 5.00001, 4 / 5.00001], [0, 0]], rtol=1e-12)


def test_class_targets_of_single_labels():
    assert class_targets(np.array([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_multi_label_set_with_a_known_answer(tmp_path):
    results = evaluate_svm(
        multi_label(60, 0), multi_label(40, 1), CLASSES, tmp_path, FEW_COSTS, jobs=1
    )
    assert [result['name'] for result in results] == list(CLASSES)
    for result in results:
        assert all(value > 0.999 for value in result['average_precision'].values())


def test_cost_is_chosen_by_cross_validation(tmp_path):
    train, test = multi_label(60, 0, noise=1.0), multi_label(40, 1, noise=1.0)
    costs = (1e-5, 0.01, 1.0, 100.0)
    result = evaluate_svm(train, test, CLASSES, tmp_path, costs, jobs=1)[1]
    units = [x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-5) for x in (train[0], test[0])]
    svms = [
        LinearSVC(C=cost, class_weight={0: 1, 1: 2}, max_iter=2000, random_state=0)
        for cost in costs
    ]
    scores = [
        cross_val_score(svm, units[0], train[1][:, 1], cv=3, scoring='average_precision').mean()
        for svm in svms
    ]
    best = int(np.argmax(scores))
    assert result['cost'] == costs[best]
    predictions = svms[best].fit(units[0], train[1][:, 1]).decision_function(units[1])
    expected = average_precision_score(test[1][:, 1], predictions)
    assert result['average_precision']['area'] == pytest.approx(expected, abs=1e-6)


def test_difficult_images_are_negatives_in_training_and_ignored_in_testing(tmp_path):
    train, test = multi_label(60, 0), multi_label(40, 1)
    plain = evaluate_svm(train, test, CLASSES, tmp_path / 'plain', FEW_COSTS, jobs=1)
    difficult = train[1].copy()
    difficult[train[1] == 0] = -1
    marked = test[1].copy()
    # errors that are only made on difficult images cost nothing
    features = np.concatenate([test[0], np.ones((5, 6), np.float32)])
    marked = np.concatenate([marked, np.full((5, 3), -1, np.int8)])
    other = evaluate_svm(
        (train[0], difficult), (features, marked), CLASSES, tmp_path / 'other', FEW_COSTS, jobs=1
    )
    for one, two in zip(plain, other, strict=True):
        assert one['cost'] == two['cost']
        assert one['average_precision'] == two['average_precision']


def test_finished_classes_are_not_computed_again(tmp_path):
    train, test = multi_label(60, 0), multi_label(40, 1)
    first = evaluate_svm(train, test, CLASSES, tmp_path, FEW_COSTS, jobs=1)
    (tmp_path / 'class_001.json').unlink()
    marked = json.loads((tmp_path / 'class_002.json').read_text())
    (tmp_path / 'class_002.json').write_text(json.dumps({**marked, 'cost': 7}))
    again = evaluate_svm(train, test, CLASSES, tmp_path, FEW_COSTS, jobs=1)
    assert again[:2] == first[:2]
    assert again[2]['cost'] == 7


@pytest.mark.parametrize('content', ['{"name": ', '[]', '{}'])
def test_damaged_results_are_named(tmp_path, content):
    train, test = multi_label(60, 0), multi_label(40, 1)
    evaluate_svm(train, test, CLASSES, tmp_path, FEW_COSTS, jobs=1)
    (tmp_path / 'class_001.json').write_text(content)
    with pytest.raises(UserError, match=r'class_001\.json is damaged: .* Remove it'):
        evaluate_svm(train, test, CLASSES, tmp_path, FEW_COSTS, jobs=1)


def test_results_of_other_features_are_not_mixed(tmp_path):
    train, test = multi_label(60, 0), multi_label(40, 1)
    evaluate_svm(train, test, CLASSES, tmp_path, FEW_COSTS, jobs=1)
    with pytest.raises(UserError, match=r'class_000\.json was computed from other features'):
        evaluate_svm(multi_label(60, 5), test, CLASSES, tmp_path, FEW_COSTS, jobs=1)
    with pytest.raises(UserError, match=r'class_000\.json was computed from other features'):
        evaluate_svm(train, test, CLASSES, tmp_path, (0.5,), jobs=1)


def test_parallel_classes_give_the_same_results(tmp_path):
    train, test = multi_label(60, 0, noise=0.5), multi_label(40, 1, noise=0.5)
    one = evaluate_svm(train, test, CLASSES, tmp_path / '1', FEW_COSTS, jobs=1)
    with parallel_config(backend='threading'):  # each process would first import torch
        two = evaluate_svm(train, test, CLASSES, tmp_path / '2', FEW_COSTS, jobs=2)
    assert one == two


def test_low_shot_draws_are_repeatable_and_of_the_right_size():
    targets = np.array([1] * 10 + [0] * 80 + [-1] * 30)
    drawn = draw_low_shot(targets, 4, (0, 4))
    assert len(set(drawn.tolist())) == 80
    assert (targets[drawn[:4]] == 1).all()
    assert (targets[drawn[4:]] == 0).all()
    assert drawn.tolist() == draw_low_shot(targets, 4, (0, 4)).tolist()
    assert drawn.tolist() != draw_low_shot(targets, 4, (1, 4)).tolist()


def test_low_shot_reports_the_costs_of_test_and_validation(tmp_path):
    train, test = multi_label(200, 0), multi_label(60, 1)
    summary = evaluate_low_shot(
        train, test, CLASSES, tmp_path, ks=(1, 4), costs=FEW_COSTS, samples=2, jobs=1
    )
    assert list(summary) == [1, 4]
    classes = [json.loads((tmp_path / f'class_00{i}.json').read_text()) for i in range(3)]
    tested = np.array([c['test'] for c in classes])[:, 1, ..., 0].mean(0)  # k=4: (S, costs)
    validated = np.array([c['validation'] for c in classes])[:, 1].mean((0, 1))
    best, chosen = tested.mean(0).argmax(), validated.argmax()
    assert summary[4]['cost'] == FEW_COSTS[best]
    assert summary[4]['interpolated'] == pytest.approx(tested[:, best])
    assert summary[4]['validated_cost'] == FEW_COSTS[chosen]
    assert summary[4]['validated'] == pytest.approx(tested[:, chosen])
    assert np.mean(summary[4]['interpolated']) > 0.95


def test_low_shot_svms_see_the_draw_only_and_are_scored_on_the_rest(tmp_path):
    rng = np.random.default_rng(0)
    labels = (rng.random(120) < 0.2).astype(np.int8)
    targets = labels[:, None].copy()
    targets[100:] = np.where(targets[100:] == 1, -1, targets[100:])  # difficult objects
    features = rng.normal(size=(120, 4)) + labels[:, None]
    test_targets = targets[::-1].copy()
    test_features = features[::-1] + rng.normal(size=(120, 4))
    summary = evaluate_low_shot(
        (features, targets), (test_features, test_targets), ['bird'], tmp_path, ks=(2,),
        costs=(0.5,), samples=3, jobs=1,
    )  # fmt: skip
    units = [
        x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-5) for x in (features, test_features)
    ]
    tested, validated = [], []
    for sample in range(3):
        drawn = draw_low_shot(targets[:, 0], 2, (sample, 2, 0))
        svm = LinearSVC(C=0.5, class_weight={0: 1, 1: 2}, max_iter=2000, random_state=0)
        svm.fit(units[0][drawn], targets[drawn, 0])
        counted = test_targets[:, 0] >= 0
        tested.append(
            average_precision_score(
                test_targets[counted, 0], svm.decision_function(units[1][counted])
            )
        )
        left = np.setdiff1d(np.flatnonzero(targets[:, 0] >= 0), drawn)
        validated.append(
            average_precision_interpolated(svm.decision_function(units[0][left]), targets[left, 0])
        )
    assert len(set(tested)) == 3
    assert summary[2]['area'] == pytest.approx(tested)
    (found,) = (json.loads(path.read_text()) for path in tmp_path.glob('*.json'))
    assert found['validation'] == [[[pytest.approx(value)] for value in validated]]


def test_low_shot_without_images_left_has_no_validated_cost(tmp_path):
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(40, 3)), np.arange(40) // 2  # 2 of each of 20 classes
    names = [str(index) for index in range(20)]
    summary = evaluate_low_shot(
        *[(features, labels)] * 2, names, tmp_path, ks=(2,), costs=(1.0,), samples=1, jobs=1
    )
    assert summary[2]['validated_cost'] is None


def test_too_few_images_of_a_class_are_an_error(tmp_path):
    features, labels = np.ones((9, 2)), np.array([0] * 4 + [1] * 3 + [2] * 2)
    train = (features, labels)
    with pytest.raises(UserError, match='Class car needs at least 3 training images, but has 2'):
        evaluate_svm(train, train, CLASSES, tmp_path, jobs=1)
    with pytest.raises(UserError, match='Class bird needs at least 5 training images, but has 4'):
        evaluate_low_shot(train, train, CLASSES, tmp_path, ks=(1, 5), jobs=1)
    with pytest.raises(UserError, match='Class bird needs at least 19 negatives, but has 5'):
        evaluate_low_shot(train, train, CLASSES, tmp_path, ks=(1,), jobs=1)
    with pytest.raises(UserError, match='Class bird needs at least 3 negatives, but has 0'):
        evaluate_svm((features, np.zeros(9, int)), train, CLASSES, tmp_path, jobs=1)
    with pytest.raises(UserError, match='Class car has no test images'):
        evaluate_svm((features, np.arange(9) // 3), (features, labels % 2), CLASSES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_with_difficult_objects_only_are_no_negatives_of_low_shot_svms():
    targets = np.array([[1]] + [[0]] * 18 + [[-1]] * 5)
    with pytest.raises(UserError, match='Class bird needs at least 19 negatives, but has 18'):
        check_counts(targets, targets, ['bird'], [1])
    check_counts(np.vstack([targets, [[0]]]), targets, ['bird'], [1])


def test_invalid_counts_and_labels_are_errors():
    targets = np.array([[1]] * 5 + [[0]] * 100)
    for ks in ([], [0, 1]):
        with pytest.raises(UserError, match='not one or more positive integers'):
            check_counts(targets, targets, ['bird'], ks)
    with pytest.raises(UserError, match='The training labels have 1 classes, not 3'):
        check_counts(targets, targets, CLASSES)


def test_features_that_are_not_finite_are_an_error(tmp_path):
    features, targets = multi_label(20, 0)
    features[7, 0] = np.inf
    with pytest.raises(UserError, match='features of image 7 are not finite'):
        evaluate_svm((features, targets), multi_label(20, 1), CLASSES, tmp_path)
