"""The study's runs on a few images, with a network of width 12."""

import json
import shutil

import cv2
import numpy as np
import pytest
from helpers import ROOT
from mmengine.config import Config

from mmrot.results import published_table
from projects.cifar10_study import Settings, Study, find_data, read_records, select

CLASSES = published_table('table9')['columns']


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Ten classes, told apart by their brightness: 20 + 2 images of each."""
    root = tmp_path_factory.mktemp('data') / 'grey'
    rng = np.random.default_rng(0)
    for split, count in (('train', 20), ('test', 2)):
        for label, name in enumerate(CLASSES):
            for index in range(count):
                image = rng.integers(0, 20, (32, 32, 3)) + 23 * label
                path = root / split / name / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image.astype(np.uint8))
    return root


@pytest.fixture
def no_training(tmp_path):
    """Tools that train nothing."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text('raise SystemExit("no training today")')
    return tmp_path / 'tools'


def study(data, tmp_path, said=None, tools=ROOT / 'tools', **kwargs):
    say = print if said is None else said.append
    settings = Settings(str(data), **{'budget': 0.01, 'width': 12, **kwargs})
    return Study(settings, tmp_path / 'work', tmp_path / 'records', tools, say)


@pytest.mark.slow
def test_runs_go_on_and_are_not_repeated(data, tmp_path):
    evaluations = select(cells=['table3/RotNet + conv'])
    said: list[str] = []
    study(data, tmp_path, said).run(evaluations, [3])
    assert said[0] == '[1/1] conv, seed 3: begins'
    records = read_records(tmp_path / 'records')
    values = {(r['table'], r['column']): r['value'] for r in records}
    classes = [column for table, column in values if table == 'table9']
    assert sorted(classes) == sorted(CLASSES)
    # ten classes of two images each: the accuracy is the mean of theirs
    per_class = [values['table9', name] for name in classes]
    assert values['table3', 'accuracy'] == pytest.approx(np.mean(per_class))
    one = records[0]
    assert (one['seed'], one['epochs'], one['pretraining_epochs']) == (3, 1, 1)
    assert (one['data'], one['settings']['data']) == ('grey', 'grey')
    assert (one['images'], one['training_images']) == (20, 200)
    assert len(one['config_sha256']) == len(one['pretraining_sha256']) == 64
    assert one['data_sha256'] == find_data(data).sha256
    assert one['checkpoint'] == 'nin4_seed3/epoch_1.pth'
    assert one['seconds'] > 0
    assert one['pretraining_seconds'] > 0
    assert one['command'] == (
        'tools/reproduce_cifar10.sh --data grey --budget 0.01 --width 12 --seeds 3 --cells '
        f"'{one['table']}/RotNet + conv'"
    )
    assert str(tmp_path) not in str(records)
    assert {'date', 'machine', 'versions', 'command'} <= set(one)

    # a new study finds them
    said.clear()
    study(data, tmp_path, said).run(evaluations, [3])
    assert said == ['[1/1] conv, seed 3: has its records']
    # one that stopped between two records writes the others, and trains nothing
    work = tmp_path / 'work/grey-budget0.01-width12'
    logs = [(work / name / 'output.log').read_text() for name in ('nin4_seed3', 'conv_seed3')]
    said.clear()
    for path in (tmp_path / 'records').rglob('table9*'):
        path.unlink()
    study(data, tmp_path, said).run(evaluations, [3])
    assert said[0] == '[1/1] conv, seed 3: begins'
    assert read_records(tmp_path / 'records') == records
    for name, log in zip(('nin4_seed3', 'conv_seed3'), logs, strict=True):
        assert (work / name / 'output.log').read_text() == log

    # images of the same name that are others are not taken for these
    other = tmp_path / 'other/grey'
    shutil.copytree(data, other)
    (other / 'train/bird/0.png').unlink()
    with pytest.raises(ValueError, match='1 of 1 failed: conv, seed 3'):
        study(other, tmp_path, said).run(evaluations, [3])
    assert 'seed3.json was measured with another config or on other images' in said[-1]
    shutil.rmtree(tmp_path / 'records')
    with pytest.raises(ValueError, match='1 of 1 failed'):
        study(other, tmp_path, said).run(evaluations, [3])
    assert 'nin4_seed3 was begun with another config or on other images' in said[-1]
    assert read_records(tmp_path / 'records') == []


@pytest.mark.slow
def test_few_labels(data, tmp_path):
    study(data, tmp_path).run(select(cells=['figure5b/supervised/20']), [0])
    (record,) = read_records(tmp_path / 'records')
    assert (record['row'], record['column']) == ('supervised', '20')
    assert (record['samples_per_epoch'], record['checkpoint']) == (200, 'random')
    assert record['pretraining_sha256'] is None


def test_what_a_run_is_told(data, tmp_path, no_training):
    """The budget scales epochs, milestones and snapshots; K and the seed are handed on."""
    said: list[str] = []
    kwargs = dict(tools=no_training, budget=0.2, width=24)
    runs = study(data, tmp_path, said, images_per_class=19, **kwargs)
    with pytest.raises(ValueError, match='2 of 2 failed: conv, seed 1; nonlinear_nin4, seed 1'):
        runs.run(select(cells=['table3/RotNet + conv', 'table1/RotNet, 4 blocks']), [1])
    assert [line.split('/', 1)[0] for line in said] == [
        '[1',
        '    pretrains nin4, seed 1',
        '[1',
        '[2',
        '[2',  # and no second try
    ]
    assert 'nin4_seed1 stopped, see ' in said[2]
    assert said[2].endswith('output.log: no training today')
    folder = tmp_path / 'work/grey-budget0.2-width24-19perclass'
    assert not json.loads((folder / 'nin4_seed1/job.json').read_text())['finished']
    cfg = Config.fromfile(folder / 'configs/nin4_seed1.py')
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.milestones) == (20, [6, 12, 16])
    assert (cfg.default_hooks.checkpoint.interval, cfg.randomness.seed) == (1, 1)
    assert cfg.optim_wrapper.type == 'mmrot.BFloat16OptimWrapper'
    assert (cfg.model.backbone.width, cfg.model.head.in_channels) == (24, 24)
    dataset = cfg.train_dataloader.dataset
    assert (dataset.type, dataset.with_samples) == ('mmrot.InMemoryImages', False)
    assert (dataset.padding, dataset.flip, dataset.dataset.num_per_class) == (4, True, 19)
    assert cfg.data_preprocessor.to_rgb

    with pytest.raises(ValueError, match='1 of 1 failed: subset_20'):
        study(data, tmp_path, **kwargs).run(select(cells=['figure5b/supervised/20']), [1])
    folder = tmp_path / 'work/grey-budget0.2-width24'
    cfg = Config.fromfile(folder / 'configs/subset_20_seed1.py')
    dataset = cfg.train_dataloader.dataset.dataset
    assert (dataset.num_per_class, dataset.epoch_length, dataset.seed) == (20, 200, 1)
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (20, 20)
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == 2
    assert 'padding' not in cfg.val_dataloader.dataset
    assert cfg.model.head.probes.conv2.in_channels == 24


def test_the_angles_of_table_2_keep_the_width(data, tmp_path):
    model = study(data, tmp_path)._pretraining_config('nin4_0_180', 0)['model']
    assert model == {'backbone': {'width': 12}, 'head': {'in_channels': 12}, 'angles': (0, 180)}


@pytest.mark.parametrize(
    ('budget', 'interval', 'snapshots'), [(1, 5, [20, 40]), (0.13, 1, [3, 5]), (0.1, 1, [2, 4])]
)
def test_every_snapshot_of_figure_5a_is_kept(data, tmp_path, budget, interval, snapshots):
    runs = study(data, tmp_path, budget=budget)
    checkpoint = runs._pretraining_config('nin4', 0)['default_hooks']['checkpoint']
    assert (checkpoint['interval'], checkpoint['max_keep_ckpts']) == (interval, -1)
    evaluations = select(cells=['figure5a/object*/20', 'figure5a/object*/40'])
    assert [runs._snapshot(evaluation) for evaluation in evaluations] == snapshots
    assert not any(epoch % interval for epoch in snapshots)


@pytest.mark.slow
def test_figure_5a_has_the_rotation_accuracy_of_each_snapshot(data, tmp_path):
    runs = study(data, tmp_path, budget=0.05)
    runs.run(select(cells=['figure5a/*/40']), [0])
    records = {r['row']: r for r in read_records(tmp_path / 'records')}
    assert set(records) == {'rotation prediction', 'object recognition'}
    rotation = records['rotation prediction']
    assert (rotation['column'], rotation['pretraining_epochs']) == ('40', 2)
    assert rotation['config'] == 'rotnet/nin4_cifar10.py'
    assert rotation['config_sha256'] == rotation['pretraining_sha256']
    assert rotation['config_sha256'] == records['object recognition']['pretraining_sha256']
    assert rotation['epochs'] == 2
    assert not {'iterations', 'batch_size'} & set(rotation)
    job = json.loads((runs.work_dir / 'nin4_seed0/job.json').read_text())
    assert rotation['seconds'] == pytest.approx(job['seconds'] * 2 / 5, abs=0.8)
    assert 0 <= rotation['value'] <= 100
    assert rotation['value'] * 80 / 100 == pytest.approx(round(rotation['value'] * 80 / 100))


def test_the_identity_knows_configs_but_no_seeds_and_no_paths(data, tmp_path):
    (conv,) = select(cells=['table3/RotNet + conv'])
    (random,) = select(cells=['table3/random*'])
    shutil.copytree(data, tmp_path / 'a/longer/way/to/grey')
    one, moved = study(data, tmp_path), study(tmp_path / 'a/longer/way/to/grey', tmp_path)
    assert one._identity(conv) == moved._identity(conv)
    assert one._identity(conv) != study(data, tmp_path, budget=0.02)._identity(conv)
    assert one._identity(random)['pretraining_sha256'] is None


def test_what_the_settings_have_not(data, tmp_path):
    said: list[str] = []
    study(data, tmp_path, said).run(select(cells=['figure5a/*/20']), [0])
    assert said == ['[1/1] nonlinear_nin4_20, seed 0: left out, the budget has no such snapshot']
    said.clear()
    runs = study(data, tmp_path, said, images_per_class=3)
    runs.run(select(cells=['figure5b/supervised/20']), [0])
    assert said == ['[1/1] subset_20, seed 0: left out, there are 3 images of each class']


def test_as_many_images_as_there_are_is_no_other_study(data, tmp_path):
    whole, all_of_it = study(data, tmp_path), study(data, tmp_path, images_per_class=20)
    assert all_of_it.work_dir == whole.work_dir
    (conv,) = select(cells=['table3/RotNet + conv'])
    assert all_of_it._identity(conv) == whole._identity(conv)
    assert (whole.count, whole.images) == (20, 200)


def test_other_files_among_the_images(data, tmp_path):
    shutil.copytree(data, tmp_path / 'grey')
    (tmp_path / 'grey/train/bird/Thumbs.db').write_text('no image')
    assert find_data(tmp_path / 'grey').sha256 == find_data(data).sha256
    assert find_data(tmp_path / 'grey').images == 200


def test_bad_data(data, tmp_path):
    with pytest.raises(ValueError, match=r'--data .*nothing: expected cifar-10-batches-py/ in it'):
        study(tmp_path / 'nothing', tmp_path)
    with pytest.raises(ValueError, match=r'--images-per-class 21: .*grey has 20'):
        study(data, tmp_path, images_per_class=21)
    shutil.copytree(data, tmp_path / 'grey')
    (tmp_path / 'grey/test/bird').rename(tmp_path / 'grey/test/birds')
    with pytest.raises(ValueError, match='test has the classes airplane, automobile, birds, cat'):
        study(tmp_path / 'grey', tmp_path)
