import json

import cv2
import numpy as np
import pytest

from mmrot.apis import demo
from mmrot.evaluation.features import Features

OPTIONS = {
    'train_cfg.max_epochs': 1,
    'model.backbone.width': 12,
    'model.head.in_channels': 12,
}


@pytest.fixture
def _small(monkeypatch):
    for name, value in dict(RUNS=2, DRAWS=1, LABELS_PER_CLASS=(2, 10), STEPS=2).items():
        monkeypatch.setattr(demo, name, value)


@pytest.mark.slow
@pytest.mark.usefixtures('_small')
def test_demo_prints_and_writes_its_results(tmp_path, capsys):
    result = demo.run_demo(str(tmp_path), OPTIONS)
    out = capsys.readouterr().out
    for text in (
        'Run 2 of 2',
        'epoch   1/1',
        'knn/accuracy_block2',
        'labels per class',
        'block 4',
        'chance: 25 %',
    ):
        assert text in out
    assert len(result['rotation_accuracy']) == 2
    # at initialisation the features already separate digits better than chance, 10 %
    for name in ('rotnet', 'random'):
        few, more = result[name].values()
        assert len(few) == len(more) == 2
        assert 30 < np.mean(few) < np.mean(more)
        assert f'{np.mean(more):.1f} ± {np.std(more, ddof=1):.1f}' in out
        assert list(result['blocks'][name]) == list(demo.BLOCKS)
        assert max(map(np.mean, result['blocks'][name].values())) > 30
    assert [len(values) for values in result['supervised'].values()] == [2, 2]
    assert json.loads((tmp_path / 'demo.json').read_text()) == result
    height, width, _ = cv2.imread(str(tmp_path / 'rotations.png')).shape
    assert width > height > 400
    assert (tmp_path / 'seed1/epoch_1.pth').exists()


def test_demo_config_holds_out_a_third_of_the_digits(tmp_path):
    cfg = demo.demo_config(str(tmp_path), 5, {'train_cfg.max_epochs': 2})
    assert len(demo.Digits('test', hold_out=cfg.test_dataloader.dataset.hold_out)) == 599
    assert cfg.train_dataloader.dataset.hold_out == cfg.val_dataloader.dataset.hold_out == 3
    assert cfg.randomness.seed == 5
    assert cfg.default_hooks.checkpoint.interval == 2


def test_split_labels_is_balanced_disjoint_and_nested():
    labels = np.repeat(np.arange(3), 40)
    train, val = demo.split_labels(labels, 5, seed=1)
    assert np.bincount(labels[train]).tolist() == [5] * 3
    assert np.bincount(labels[val]).tolist() == [demo.VALIDATION_PER_CLASS] * 3
    assert not set(train) & set(val)
    more, same_val = demo.split_labels(labels, 10, seed=1)
    assert set(train) < set(more)
    assert val.tolist() == same_val.tolist()
    assert train.tolist() != demo.split_labels(labels, 5, seed=2)[0].tolist()


def test_probe_blocks_selects_the_informative_block():
    rng = np.random.default_rng(0)

    def features(count):
        labels = np.arange(count) % 2
        noise = rng.normal(size=(count, 3))
        stages = {'noise': noise, 'good': noise + 10 * labels[:, None]}
        return Features(stages, [''] * count, labels, ())

    train, test = features(80), features(60)
    selected, accuracies = demo.probe_blocks(train, test, 5, seed=0)
    assert selected == 'good'
    assert accuracies['good'] == 100
    assert 30 < accuracies['noise'] < 70
    swapped = Features(test.stages, test.files, 1 - test.labels, ())
    assert demo.probe_blocks(train, swapped, 5, seed=0)[1]['good'] == 0
