import shutil
from dataclasses import replace

import pytest
from helpers import ROOT

from projects.cifar10_study import CLASSIFIERS, Settings, find_data, select, study_records
from projects.cifar10_study.configs import classifier_config, config_sha256, pretraining_config

RECORDS = ROOT / 'projects/cifar10_study/records.jsonl'
SMALL = Settings('grey', budget=0.2, width=24)


@pytest.fixture(scope='module')
def images(data):
    return find_data(data)


def test_pretraining_config_is_scaled_by_the_settings(images):
    settings = replace(SMALL, images_per_class=19)
    cfg = pretraining_config(settings, images, 'nin4', seed=1)
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler.milestones) == (20, [6, 12, 16])
    assert cfg.randomness.seed == 1
    assert cfg.optim_wrapper.type == 'mmrot.BFloat16OptimWrapper'
    assert (cfg.model.backbone.width, cfg.model.head.in_channels) == (24, 24)
    assert cfg.data_preprocessor.to_rgb
    dataset = cfg.train_dataloader.dataset
    assert (dataset.type, dataset.with_samples) == ('mmrot.InMemoryImages', False)
    assert (dataset.flip, dataset.dataset.num_per_class) == (True, 19)


def test_pretraining_config_resizes_the_crops_of_images_in_folders(images):
    """CIFAR-10's own files are lossless and keep the padded crops of the paper."""
    for from_folder, padding, area in ((True, None, (0.2, 1.0)), (False, 4, None)):
        data = replace(images, from_folder=from_folder)
        dataset = pretraining_config(SMALL, data, 'nin4').train_dataloader.dataset
        assert (dataset.get('padding'), dataset.get('crop_ratio_range')) == (padding, area)
        assert dataset.get('aspect_ratio_range') == ((0.5, 2.0) if from_folder else None)


def test_pretraining_config_has_the_angles_of_table_2(images):
    model = pretraining_config(SMALL, images, 'nin4_0_180').model
    assert model.angles == (0, 180)
    assert model.backbone.width == 24


@pytest.mark.parametrize(
    ('budget', 'interval', 'snapshots'), [(1, 5, [20, 40]), (0.13, 1, [3, 5]), (0.1, 1, [2, 4])]
)
def test_pretraining_config_keeps_every_snapshot_of_figure_5a(images, budget, interval, snapshots):
    settings = replace(SMALL, budget=budget)
    checkpoint = pretraining_config(settings, images, 'nin4').default_hooks.checkpoint
    assert (checkpoint.interval, checkpoint.max_keep_ckpts) == (interval, -1)
    assert [settings.epochs(epoch) for epoch in (20, 40)] == snapshots
    assert not any(epoch % interval for epoch in snapshots)


def test_classifier_config_has_few_labels_and_validates_once(images):
    (subset,) = select(cells=['figure5b/supervised/20'])
    cfg = classifier_config(SMALL, images, subset, seed=1, backbone='random')
    dataset = cfg.train_dataloader.dataset.dataset
    assert (dataset.num_per_class, dataset.epoch_length, dataset.seed) == (20, 200, 1)
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (40, 40)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert (loader.dataset.type, loader.dataset.crop_size) == ('mmrot.InMemoryImages', 32)
        assert 'padding' not in loader.dataset
    assert cfg.model.head.probes.conv2.in_channels == 24
    assert cfg.default_hooks.load_backbone.checkpoint == 'random'
    (table,) = cfg.default_hooks.result_table.tables
    assert (table['table'], table['random_row']) == ('figure5b', 'supervised')
    assert table['metrics'] == {'20': 'conv2/top1'}


def test_config_sha256_depends_on_settings_but_not_on_location(data, images, tmp_path):
    (conv,) = select(cells=['table3/RotNet + conv'])

    def sha256(settings, images):
        return config_sha256(classifier_config(settings, images, conv), images)

    shutil.copytree(data, tmp_path / 'another/grey')
    moved = find_data(tmp_path / 'another/grey')
    assert sha256(SMALL, images) == sha256(SMALL, moved)
    assert sha256(SMALL, images) != sha256(replace(SMALL, budget=0.1), images)
    assert sha256(SMALL, images) != sha256(replace(SMALL, images_per_class=3), images)


def test_published_records_have_the_configs_of_the_plan(images):
    """If a change of the configs is meant to change results, the study has to be run again."""
    records = study_records(RECORDS)
    for classifier in CLASSIFIERS:
        found = [r for r in records if (r.table, r.row, next(iter(r.values))) in classifier.cells]
        if not found:
            continue
        settings = Settings(**found[0].settings)
        pretraining = None
        if classifier.pretraining != 'random':
            cfg = pretraining_config(settings, images, classifier.pretraining)
            pretraining = config_sha256(cfg, images)
        expected = config_sha256(classifier_config(settings, images, classifier), images)
        for record in found:
            assert record.settings == found[0].settings
            assert record.pretraining_sha256 == pretraining
            rotation = record.row == 'rotation prediction'
            assert record.config_sha256 == (pretraining if rotation else expected)
