import json
from functools import partial

import numpy as np
import pytest
import torch
from helpers import run_ranks, shipped, write_photo

import mmrot
from mmrot.apis import feature_evaluation
from mmrot.apis.data_changes import with_image_folder
from mmrot.apis.feature_evaluation import evaluate_features
from mmrot.errors import UserError
from mmrot.evaluation.knn import knn_accuracy
from mmrot.evaluation.svm import evaluate_low_shot, evaluate_svm
from mmrot.results import read_records, result_tables


@pytest.fixture
def digits():
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.indices = 300
    cfg.test_dataloader.dataset.indices = 60
    return cfg


def test_knn_of_the_last_stage(tmp_path, digits):
    evaluate_features('knn', digits, 'random', tmp_path, ks=[1, 10])
    (record,) = read_records(tmp_path)
    train, test = (
        mmrot.extract_features(digits, 'random', split=split) for split in ('train', 'test')
    )
    assert list(train.stages) == ['block4']
    expected = knn_accuracy(
        test.stages['block4'], test.labels, train.stages['block4'], train.labels, [1, 10]
    )
    assert record.values == pytest.approx({str(k): v for k, v in expected.items()}, abs=1e-3)
    assert (record.row, record.data, record.images) == ('random', 'Digits', len(test.files))
    assert '| RotNet' in (tmp_path / 'results.md').read_text()
    with pytest.raises(UserError, match=r'earlier run\. Use another --work-dir, or --overwrite'):
        evaluate_features('knn', digits, 'random', tmp_path, ks=[1])
    evaluate_features('knn', digits, 'random', tmp_path, ks=[2], overwrite=True)
    assert list(read_records(tmp_path)[0].values) == ['2']


def test_svm_reports_three_measures_of_each_stage(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(
        feature_evaluation, 'evaluate_svm', partial(evaluate_svm, costs=(1.0, 10.0))
    )
    stages = ['block2', 'block4']
    evaluate_features('svm', digits, 'random', tmp_path, stages, pool='avg', jobs=1)
    records = {record.row: record.values for record in read_records(tmp_path)}
    assert list(records) == ['random', 'random, area', 'random, 11 points']
    assert all(list(values) == stages for values in records.values())
    assert all(records['random'][stage] >= records['random, area'][stage] for stage in stages)
    results = [json.loads(path.read_text()) for path in tmp_path.glob('svm/block4/*.json')]
    assert len(results) == 10
    mean = np.mean([result['average_precision']['area'] for result in results])
    assert records['random, area']['block4'] == pytest.approx(100 * mean, abs=1e-3)


def test_low_shot_has_a_record_for_each_sample(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(
        feature_evaluation,
        'evaluate_low_shot',
        partial(evaluate_low_shot, costs=(1.0, 10.0), samples=2),
    )
    evaluate_features('lowshot', digits, 'random', tmp_path, pool='avg', ks=[1, 2], jobs=1)
    records = read_records(tmp_path)
    assert [(record.row, record.sample) for record in records] == [
        (row, sample)
        for row in (
            *('random', 'random, cost chosen on training images'),
            *('random, area', 'random, 11 points'),
        )
        for sample in (0, 1)
    ]
    assert all(list(record.values) == ['1', '2'] for record in records)
    assert all(record.seed == 0 for record in records)  # of the random network
    assert all(record.costs.keys() == {'1', '2'} for record in records)
    assert {cost for record in records for cost in record.costs.values()} <= {1, 10}
    assert '(n=2)' in (tmp_path / 'results.md').read_text()


def test_data_without_labels_are_an_error(tmp_path, digits):
    rng = np.random.default_rng(0)
    for index in range(3):
        write_photo(tmp_path / 'photos' / f'{index}.jpg', rng)
    cfg = with_image_folder(digits, str(tmp_path / 'photos'), str(tmp_path / 'photos'))
    with pytest.raises(UserError, match='The train data of the config have no labels'):
        evaluate_features('knn', cfg, 'random', tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('kind', 'ks', 'message'),
    [
        ('knn', None, 'k=200 exceeds the number of training images, 60'),
        ('lowshot', [96], r'Class \d needs at least 96 training images'),
        ('lowshot', [3], r'Class \d needs at least 57 negatives'),
    ],
)
def test_too_few_images_are_reported_before_the_extraction(tmp_path, digits, kind, ks, message):
    digits.train_dataloader.dataset.indices = 60
    with pytest.raises(UserError, match=message):
        evaluate_features(kind, digits, 'random', tmp_path / 'run', ks=ks)
    assert not (tmp_path / 'run').exists()


def test_random_networks_of_two_seeds_share_a_table(tmp_path, digits, monkeypatch):
    monkeypatch.setattr(
        feature_evaluation, 'evaluate_low_shot', partial(evaluate_low_shot, costs=(1.0,))
    )
    records = []
    for seed in (0, 1):
        digits.randomness = dict(seed=seed)
        records += evaluate_features(
            'lowshot', digits, 'random', tmp_path / str(seed), pool='avg', ks=[1], jobs=1
        )
    assert {(record.seed, record.sample) for record in records} == {
        (seed, sample) for seed in (0, 1) for sample in range(5)
    }
    (table,) = result_tables(records)
    assert '(n=10)' in table.to_markdown()


def _evaluate_in_two_ranks(folder) -> None:
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.indices = 40
    cfg.test_dataloader.dataset.indices = 20
    records = evaluate_features('knn', cfg, 'random', folder / 'run', ks=[3])
    assert len(records) == (torch.distributed.get_rank() == 0)


@pytest.mark.slow
def test_evaluation_in_two_processes(tmp_path):
    run_ranks(_evaluate_in_two_ranks, 2, tmp_path)
    (record,) = read_records(tmp_path / 'run')
    cfg = shipped('rotnet/nin4_digits.py')
    cfg.train_dataloader.dataset.indices = 40
    cfg.test_dataloader.dataset.indices = 20
    (alone,) = evaluate_features('knn', cfg, 'random', tmp_path / 'alone', ks=[3])
    assert record.values == pytest.approx(alone.values, abs=1e-4)
