import argparse

import numpy as np
import pytest
from helpers import write_photo
from mmengine.config import Config

import mmrot
from mmrot.cli.config import check_fields, load_config
from mmrot.cli.parser import job_parser
from mmrot.cli.train import train_options
from mmrot.errors import UserError

DIGITS = mmrot.config_path('rotnet/nin4_digits.py')


def parse(*arguments: str) -> argparse.Namespace:
    return job_parser('test', 'test').parse_args(list(arguments))


def test_load_config_applies_options():
    cfg = load_config(parse(DIGITS, '--cfg-options', 'model.angles=0,180', 'log_level=ERROR'))
    assert cfg.model.angles == [0, 180]
    assert cfg.log_level == 'ERROR'


def test_work_dir_defaults_to_the_name_of_the_config():
    assert load_config(parse(DIGITS)).work_dir == 'work_dirs/nin4_digits'
    assert load_config(parse(DIGITS, '--work-dir', 'other')).work_dir == 'other'


def test_data_root_option_reaches_every_data_set():
    options = ['--cfg-options', 'data_root=/big/disk']
    cfg = load_config(parse('rotnet_alexnet_in1k.py', *options))
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    assert [cfg[loader].dataset.data_root for loader in loaders] == ['/big/disk'] * 3


def test_load_config_completes_dataloaders():
    cfg = load_config(parse('rotnet_alexnet_in1k.py'))
    assert cfg.train_dataloader.persistent_workers is True
    assert load_config(parse(DIGITS)).train_dataloader.persistent_workers is False  # no workers


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optim_wraper.optimizer.lr=1', "'optim_wraper' is not a field; expected optim_wrapper"),
        ('train_datloader.batch_size=1', "'train_datloader' is not a field; expected train_datal"),
        ('zzz=1', "'zzz' is not a field; expected auto_scale_lr"),
        ('train_pipeline.0.scale=7', "'train_pipeline' is only a variable of the config"),
        ('data_root=x', "'data_root' is not a field"),  # the digits have none
        ('env_cfg.cudnn_benchmrk=1', 'expected one of cudnn_benchmark, dist_cfg.* in env_cfg'),
        ('auto_scale_lr.enabled=1', 'expected one of base_batch_size, enable in auto_scale_lr'),
    ],
)
def test_misspelt_option_names_the_closest_fields(option, message):
    with pytest.raises(UserError, match=message):
        load_config(parse(DIGITS, '--cfg-options', option))


@pytest.mark.parametrize(
    ('field', 'meant'),
    [
        ('optim_wraper', 'optim_wrapper'),
        ('load_form', 'load_from'),
        ('train_config', 'train_cfg'),
    ],
)
def test_misspelt_field_of_a_config_names_the_closest(field, meant):
    with pytest.raises(UserError, match=f"config field '{field}'. Did you mean '{meant}'"):
        check_fields(Config({field: 1}), {})


def test_cached_images_are_an_option_of_training():
    parser = job_parser('train', 'test', train_options())
    arguments = ['rotnet_alexnet_in1k.py', '--image-size', '112', '--cache-images', 'cache']
    cfg = load_config(parser.parse_args([*arguments, '--cache-short-side', '150']))
    loaders = (cfg.train_dataloader, cfg.val_dataloader)
    sides = [loader.dataset.pipeline[0].short_side for loader in loaders]
    assert sides == [150, 128]
    with pytest.raises(UserError, match='--cache-images excludes --in-memory'):
        load_config(parser.parse_args([*arguments, '--in-memory']))
    with pytest.raises(UserError, match='--cache-short-side needs --cache-images'):
        load_config(parser.parse_args([*arguments[:3], '--cache-short-side', '150']))
    step = 'train_dataloader.dataset.pipeline'
    options = [f'{step}.1.crop_ratio_range=0.25,1.0', f'{step}.2.prob=0.0']
    cfg = load_config(parser.parse_args([*arguments, '--cfg-options', *options]))
    load, crop, flip, _ = cfg.train_dataloader.dataset.pipeline
    assert load.short_side == 259  # 112 / sqrt(0.25 · 3/4)
    assert crop.crop_ratio_range == [0.25, 1.0]
    assert not crop.flip
    assert flip.prob == 0


def test_size_of_crops_decides_which_jpegs_are_small(tmp_path):
    write_photo(tmp_path / '0.jpg', np.random.default_rng(0), (200, 200))
    arguments = ['rotnet/nin4_cifar10.py', '--image-folder', str(tmp_path)]
    parser = job_parser('train', 'test', train_options())
    crops = [
        load_config(parser.parse_args([*arguments, *size])).train_dataloader.dataset.pipeline[2]
        for size in ([], ['--image-size', '64'])
    ]
    assert [crop.type.rpartition('.')[2] for crop in crops] == ['RandomCrop', 'RandomResizedCrop']
    assert crops[1].scale == 64


def test_check_fields_accepts_variables_of_a_config():
    check_fields(Config(dict(data_root='a', train_pipeline=[], img_norm_cfg={}, models={})), {})


def test_options_keep_spaces_of_paths_and_nested_lists():
    options = parse('x.py', '--cfg-options', 'data_root=/my data/set 1', 'a.b=[(1, 2), 3]')
    assert options.cfg_options == {'data_root': '/my data/set 1', 'a.b': [(1, 2), 3]}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--image-folder', 'a', 'b', 'c'], 'argument --image-folder: expected one or two values'),
        (['--cfg-options', 'nonsense'], "'nonsense' is not of the form key=value"),
    ],
)
def test_parser_refuses_malformed_values(arguments, message, capsys):
    with pytest.raises(SystemExit, match='2'):
        parse('x.py', *arguments)
    assert message in capsys.readouterr().err
