"""The study's runs on a few images, with a network of width 12."""

import json

import cv2
import numpy as np
import pytest
from conftest import ROOT
from mmengine.config import Config

from mmrot.study import Settings, Study, read_records, select


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Ten classes, told apart by their brightness: 4 + 2 images of each."""
    root = tmp_path_factory.mktemp('data') / 'grey'
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('test', 2)):
        for label in range(10):
            for index in range(count):
                image = rng.integers(0, 20, (32, 32, 3)) + 23 * label
                path = root / split / f'class{label}' / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image.astype(np.uint8))
    return root


def study(data, tmp_path, said=None, train=ROOT / 'tools/train.py', **kwargs):
    say = print if said is None else said.append
    settings = Settings(str(data), **{'budget': 0.01, 'width': 12, **kwargs})
    return Study(settings, tmp_path / 'work', tmp_path / 'records', train, say)


@pytest.mark.long
def test_runs_go_on_and_are_not_repeated(data, tmp_path):
    evaluations = select(cells=['table3/RotNet + conv'])
    said: list[str] = []
    study(data, tmp_path, said).run(evaluations, [3])
    assert said[0] == '[1/1] conv, seed 3: begins'
    records = read_records(tmp_path / 'records')
    values = {(r['table'], r['column']): r['value'] for r in records}
    classes = [column for table, column in values if table == 'table9']
    assert sorted(classes) == [f'class{label}' for label in range(10)]
    # ten classes of two images each: the accuracy is the mean of theirs
    per_class = [values['table9', name] for name in classes]
    assert values['table3', 'accuracy'] == pytest.approx(np.mean(per_class))
    one = records[0]
    assert (one['seed'], one['epochs'], one['pretraining_epochs']) == (3, 1, 1)
    assert one['settings']['data'] == 'grey'
    assert one['data'] == 'grey'
    assert one['images'] == 20
    assert len(one['config_sha256']) == 64
    assert one['checkpoint'] == 'nin4_seed3/epoch_1.pth'
    assert one['command'] == (
        'tools/reproduce_cifar10.sh --data grey --budget 0.01 --width 12 --seeds 3 --cells '
        f"'{one['table']}/RotNet + conv'"
    )
    assert str(tmp_path) not in str(records)
    assert {'date', 'machine', 'versions', 'command', 'seconds_since_start'} <= set(one)

    # a new study finds them, though another one, with other labels, is run
    work = tmp_path / 'work/grey-budget0.01-width12'
    log = (work / 'nin4_seed3/output.log').read_text()
    said.clear()
    for path in (tmp_path / 'records').rglob('table9*'):
        path.unlink()  # a study that stopped between two records
    study(data, tmp_path, said).run(evaluations, [3])
    assert said[0] == '[1/1] conv, seed 3: begins'
    for before, after in zip(records, read_records(tmp_path / 'records'), strict=True):
        assert {k: (before[k], after[k]) for k in before if before[k] != after[k]} == {}
    assert (work / 'nin4_seed3/output.log').read_text() == log


def test_what_a_run_is_told(data, tmp_path):
    """The budget scales epochs, milestones and snapshots; K and the seed are handed on."""
    train = tmp_path / 'train.py'
    train.write_text('raise SystemExit("no training today")')
    runs = study(data, tmp_path, train=train, budget=0.2, width=24, images_per_class=30)
    with pytest.raises(ValueError, match=r'nin4_seed1 stopped, see .*output\.log: no training'):
        runs.run(select(cells=['figure5b/semi*/20']), [1])
    folder = tmp_path / 'work/grey-budget0.2-width24-30perclass'
    cfg = Config.fromfile(folder / 'configs/nin4_seed1.py')
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.milestones) == (20, [6, 12, 16])
    assert (cfg.default_hooks.checkpoint.interval, cfg.randomness.seed) == (4, 1)
    assert cfg.train_cfg.val_interval == 4
    assert cfg.optim_wrapper.type == 'mmrot.BFloat16OptimWrapper'
    assert (cfg.model.backbone.width, cfg.model.head.in_channels) == (24, 24)
    dataset = cfg.train_dataloader.dataset
    assert (dataset.type, dataset.with_samples) == ('mmrot.InMemoryImages', False)
    assert (dataset.padding, dataset.flip, dataset.dataset.num_per_class) == (4, True, 30)
    assert cfg.data_preprocessor.to_rgb

    with pytest.raises(ValueError, match='subset_20_seed1 stopped'):
        study(data, tmp_path, train=train, budget=0.2, width=24).run(
            select(cells=['figure5b/supervised/20']), [1]
        )
    folder = tmp_path / 'work/grey-budget0.2-width24'
    cfg = Config.fromfile(folder / 'configs/subset_20_seed1.py')
    dataset = cfg.train_dataloader.dataset.dataset
    assert (dataset.num_per_class, dataset.epoch_length) == (20, 50000)
    assert 'padding' not in cfg.val_dataloader.dataset
    assert cfg.model.head.probes.conv2.in_channels == 24


@pytest.mark.parametrize(
    ('budget', 'interval', 'snapshots'), [(0.13, 1, [3, 5]), (0.1, 2, [2, 4])]
)
def test_every_snapshot_of_figure_5a_is_kept(data, tmp_path, budget, interval, snapshots):
    runs = study(data, tmp_path, budget=budget)
    kept = runs._config('rotnet/nin4_cifar10.py', 0, pretraining=True)
    assert kept['default_hooks']['checkpoint']['interval'] == interval
    assert kept['default_hooks']['checkpoint']['max_keep_ckpts'] == -1
    evaluations = select(cells=['figure5a/object*/20', 'figure5a/object*/40'])
    assert [runs._snapshot(evaluation) for evaluation in evaluations] == snapshots
    assert not any(epoch % interval for epoch in snapshots)


@pytest.mark.long
def test_figure_5a_has_the_rotation_accuracy_of_each_snapshot(data, tmp_path):
    runs = study(data, tmp_path, budget=0.05)
    runs.run(select(cells=['figure5a/*/40']), [0])
    records = {r['row']: r for r in read_records(tmp_path / 'records')}
    assert set(records) == {'rotation prediction', 'object recognition'}
    rotation = records['rotation prediction']
    assert (rotation['column'], rotation['epochs'], rotation['pretraining_epochs']) == ('40', 2, 2)
    assert rotation['config'] == 'rotnet/nin4_cifar10.py'
    folder = tmp_path / 'work/grey-budget0.05-width12/nin4_seed0'
    log = next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()
    epochs = [row for row in map(json.loads, log) if 'rotation/accuracy' in row]
    assert [row['step'] for row in epochs] == [1, 2, 3, 4, 5]
    assert rotation['value'] == epochs[1]['rotation/accuracy']


def test_what_the_settings_have_not(data, tmp_path):
    said: list[str] = []
    study(data, tmp_path, said).run(select(cells=['figure5a/*/20']), [0])
    assert said == ['[1/1] nonlinear_nin4_20, seed 0: left out, the budget has no such snapshot']
    said.clear()
    runs = study(data, tmp_path, said, images_per_class=3)
    runs.run(select(cells=['figure5b/supervised/20']), [0])
    assert said == ['[1/1] subset_20, seed 0: left out, there are 3 images of each class']


def test_no_data(tmp_path):
    with pytest.raises(ValueError, match=r'--data .*nothing: expected cifar-10-batches-py/ in it'):
        study(tmp_path / 'nothing', tmp_path)
