"""What the tools make of arguments and of bad input."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

import mmrot
from mmrot.cli import (
    build_parser,
    check_fields,
    load_config,
    one_line_errors,
    set_backbone,
    set_data_root,
    use_amp,
    use_image_folder,
    use_labelled_folder,
)
from mmrot.models import RotationHead

DIGITS = mmrot.config_path('rotnet/nin4_digits.py')
QUICK = [
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.indices=8',
    'val_dataloader.dataset.indices=4',
    'train_dataloader.batch_size=4',
    'model.backbone.width=12',
    'model.head.in_channels=12',
]


def parse(*arguments: str) -> argparse.Namespace:
    return build_parser('test').parse_args(list(arguments))


def test_options_override_and_work_dir_defaults_to_the_name():
    cfg = load_config(parse(DIGITS, '--cfg-options', 'model.angles=0,180', 'log_level=ERROR'))
    assert cfg.model.angles == [0, 180]
    assert cfg.log_level == 'ERROR'
    assert cfg.work_dir == 'work_dirs/nin4_digits'
    assert load_config(parse(DIGITS, '--work-dir', 'elsewhere')).work_dir == 'elsewhere'


def test_data_root_reaches_every_data_set():
    cfg = load_config(
        parse(mmrot.config_path('rotnet_alexnet_in1k.py'), '--cfg-options', 'data_root=/big/disk')
    )
    roots = [cfg[name].dataset.data_root for name in ('train_dataloader', 'val_dataloader')]
    assert roots == ['/big/disk'] * 2
    assert cfg.test_dataloader.dataset.data_root == '/big/disk'


def test_data_root_without_a_data_set_there():
    cfg = Config(dict(data_root='a', train_dataloader=dict(dataset=dict(data_root='ab'))))
    with pytest.raises(ValueError, match='data_root=c: no data set of the config lies in a'):
        set_data_root(cfg, 'c')


def test_data_root_reaches_wrapped_data_sets_and_evaluators():
    """As in mmdet's VOC 07+12 and COCO."""
    inner = dict(type='VOC', data_root='data/VOC/', ann_file='a.txt')
    concat = dict(type='ConcatDataset', datasets=[inner, dict(data_root='other')])
    cfg = Config(
        dict(
            data_root='data/VOC/',
            train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=concat)),
            val_evaluator=dict(type='Coco', ann_file='data/VOC/ann.json'),
        )
    )
    set_data_root(cfg, '/X')
    datasets = cfg.train_dataloader.dataset.dataset.datasets
    assert [d.data_root for d in datasets] == ['/X/', 'other']
    assert cfg.val_evaluator.ann_file == '/X/ann.json'


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('optim_wraper.optimizer.lr=1', "'optim_wraper' is not a field; expected optim_wrapper"),
        ('train_datloader.batch_size=1', "'train_datloader' is not a field; expected train_datal"),
        ('zzz=1', "'zzz' is not a field; expected one of auto_scale_lr"),
        ('train_pipeline.0.scale=7', "'train_pipeline' is a variable of the config, set the"),
        ('data_root=x', "'data_root' is not a field"),  # the digits have none
        ('env_cfg.cudnn_benchmrk=1', r'expected env_cfg\.{cudnn_benchmark, dist_cfg'),
        ('auto_scale_lr.enabled=1', r'expected auto_scale_lr\.{base_batch_size, enable}'),
    ],
)
def test_misspelt_option(option, message):
    with pytest.raises(ValueError, match=message):
        load_config(parse(DIGITS, '--cfg-options', option))


def test_misspelt_field_of_a_config():
    for field, meant in (
        ('optim_wraper', 'optim_wrapper'),
        ('load_form', 'load_from'),
        ('train_config', 'train_cfg'),
    ):
        with pytest.raises(ValueError, match=f"config field '{field}': expected '{meant}'"):
            check_fields(Config({field: 1}), {})
    # other names are the config's own variables
    check_fields(Config(dict(data_root='a', train_pipeline=[], img_norm_cfg={}, models={})), {})


@pytest.mark.parametrize(
    'name', [n for n in mmrot.list_configs() if not n.startswith('benchmarks/')]
)
def test_image_folder_with_any_pretraining_config(name, photo_folder):
    """Every config decodes, crops and packs the photos at its own size."""
    from mmengine.registry import DATASETS

    cfg = Config.fromfile(mmrot.config_path(name))
    use_image_folder(cfg, str(photo_folder))
    size = 224 if 'in1k' in name or 'places' in name else 16 if 'digits' in name else 32
    for field, count in (('train_dataloader', 22), ('val_dataloader', 2), ('test_dataloader', 2)):
        dataset = DATASETS.build(cfg[field].dataset)
        assert len(dataset) == count
        assert dataset[0]['inputs'].shape == (3, size, size)
        assert dataset[0]['inputs'].dtype == torch.uint8
    assert cfg.data_preprocessor.to_rgb


def test_second_image_folder_is_validated_on(photo_folder):
    cfg = Config.fromfile(DIGITS)
    use_image_folder(cfg, str(photo_folder), str(photo_folder / 'holiday'))
    assert cfg.train_dataloader.dataset.split == 'all'
    assert cfg.val_dataloader.dataset.data_root.endswith('holiday')
    with pytest.raises(ValueError, match='--image-folder a b c: expected one or two'):
        use_image_folder(cfg, 'a', 'b', 'c')


def test_defaults_of_the_hosts():
    """mmpretrain's launcher completes dataloaders; mmdet's does not."""
    cfg = load_config(parse(DIGITS))
    assert cfg.train_dataloader.collate_fn == dict(type='default_collate')
    assert cfg.train_dataloader.persistent_workers is False  # there are no workers
    path = mmrot.config_path('rotnet_alexnet_in1k.py')
    assert load_config(parse(path)).train_dataloader.persistent_workers is True


def test_mmdet_dataloaders_keep_their_collate(tmp_path):
    path = tmp_path / 'det.py'
    path.write_text(
        "default_scope = 'mmdet'\ntrain_dataloader = dict(dataset=dict(), num_workers=1)"
    )
    assert 'collate_fn' not in load_config(parse(str(path))).train_dataloader


def test_one_line(capsys, monkeypatch):
    monkeypatch.delenv('MMROT_TRACEBACK', raising=False)
    with pytest.raises(SystemExit) as exit_info, one_line_errors():
        raise ValueError('first\n  second')
    assert exit_info.value.code.startswith('mmrot: error: ValueError: first second [MMROT_')


def test_errors_of_a_running_job_keep_their_traceback():
    class Started:
        ready = True

    def job() -> None:
        with one_line_errors() as runners:
            runners.append(Started())
            raise ValueError('later')

    with pytest.raises(ValueError, match='later'):
        job()


def fail_in_the_middle():
    with one_line_errors() as runners:
        runners.append(SimpleNamespace(ready=True))
        raise ValueError('in the middle')


def test_a_job_on_gloo_ends_by_itself(tmp_path, monkeypatch, capsys):
    """Threads of gloo now and then abort a process that ends as usual, or by an error."""
    status = []
    monkeypatch.setattr('os._exit', status.append)
    monkeypatch.setattr('atexit._run_exitfuncs', lambda: status.append('exit functions'))
    with one_line_errors():
        pass
    assert not status  # not distributed
    store = f'file://{tmp_path / "store"}'
    torch.distributed.init_process_group('gloo', init_method=store, world_size=1, rank=0)
    try:
        with pytest.raises(SystemExit), one_line_errors():
            raise ValueError('another rank may wait for this one')
        assert torch.distributed.is_initialized()
        assert status == ['exit functions', 1]
        assert 'mmrot: error: ValueError: another rank may wait for this one [' in (
            capsys.readouterr().err
        )
        status.clear()
        with pytest.raises(ValueError, match='in the middle'):
            fail_in_the_middle()
        assert status == ['exit functions', 1]
        assert 'Traceback' in capsys.readouterr().err
        status.clear()
        with one_line_errors():
            pass
        assert not torch.distributed.is_initialized()
        assert status == ['exit functions', 0]
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def finished(tmp_path, run_tool) -> Path:
    """A work dir with a finished job."""
    run_tool('train', DIGITS, '--work-dir', tmp_path, '--cfg-options', *QUICK)
    return tmp_path


def test_bad_input_is_one_line_and_overwrites_nothing(finished, tmp_path, run_tool, photo_folder):
    before = snapshot(finished)
    (empty := tmp_path.parent / f'{tmp_path.name}_empty').mkdir()
    nin = mmrot.config_path('rotnet/nin4_cifar10.py')
    in1k = mmrot.config_path('rotnet_alexnet_in1k.py')
    options = ['--cfg-options', *QUICK]
    no_download = 'train_dataloader.dataset.download=False'
    checkpoint = str(finished / 'epoch_1.pth')
    whole = (finished / 'epoch_1.pth').read_bytes()
    (empty / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    (empty / 'void.pth').write_bytes(b'')
    (empty / 'text.pth').write_text('no checkpoint')
    state = torch.load(checkpoint, weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), empty / 'weights.pth')
    cases = [
        ([DIGITS, *options, 'optim_wraper.a=1'], "'optim_wraper' is not a field"),
        ([DIGITS, *options, 'model.backbone.widht=6'], "unexpected keyword argument 'widht'"),
        ([DIGITS, *options, 'train_cfg.max_epoch=6'], "unexpected keyword argument 'max_epoch'"),
        ([DIGITS, *options, 'model.backbone.type=mmrot.NiN'], 'mmrot.NiN'),
        (
            [DIGITS, *options, 'model.angles=0,90,90'],
            'angle 90 is repeated in angles=(0, 90, 90)',
        ),
        (
            [DIGITS, *options, 'model.angles=0,30'],
            'angle 30 in angles=(0, 30) is not a multiple of 45',
        ),
        ([f'{empty}/none.py', *options], 'none.py'),
        ([in1k, '--cfg-options', f'data_root={empty}/none'], f'{empty}/none'),
        ([nin, '--cfg-options', f'data_root={empty}/none', no_download], f'{empty}/none'),
        ([in1k, '--image-folder', f'{empty}/none'], f"image folder '{empty}/none' does not exist"),
        ([in1k, '--cfg-options', f'data_root={empty}'], f'ImageNet with data_root={empty}: '),
        ([DIGITS, '--cfg-options', 'nonsense'], 'not enough values'),
        # only the first iteration shows these
        ([DIGITS, *options, 'model.head.in_channels=100'], 'expected in_channels=100'),
        ([DIGITS, *options, 'model.head.in_index=5'], 'in_index=5: expected an index into the 1'),
        ([DIGITS, *options, 'compile=abc'], '`compile` should be a dict or bool'),
        ([DIGITS, '--resume', f'{empty}/cut.pth', *options], f'{empty}/cut.pth'),
        ([DIGITS, '--resume', f'{empty}/void.pth', *options], f'checkpoint {empty}/void.pth'),
        ([DIGITS, '--resume', f'{empty}/text.pth', *options], f'checkpoint {empty}/text.pth'),
        (
            [DIGITS, '--resume', f'{empty}/weights.pth', *options],
            f"checkpoint {empty}/weights.pth has no 'meta': expected one that a training saved",
        ),
        ([in1k, '--image-folder', str(empty)], 'has no photos'),
        ([DIGITS, '--resume', f'{empty}/none.pth', *options], 'none.pth'),
        (
            [
                DIGITS,
                '--resume',
                checkpoint,
                *options,
                'model.backbone.width=18',
                'model.head.in_channels=18',
            ],
            f'checkpoint {checkpoint} does not fit the model',
        ),
        (
            [DIGITS, *options, f'load_from={checkpoint}', 'model.backbone.num_blocks=5'],
            'missing keys in source state_dict: backbone.block5',
        ),
    ]
    for arguments, message in cases:
        with pytest.raises(SystemExit) as exit_info:
            run_tool('train', *arguments[:1], '--work-dir', finished, *arguments[1:])
        text = exit_info.value.code
        assert text.startswith('mmrot: error: ')
        assert message in text, text
        assert '\n' not in text
        assert len(text) < 700
        after = snapshot(finished)
        assert {path: after.get(path) for path in before} == before


def test_test_tool_refuses_a_checkpoint_that_does_not_fit(finished, run_tool):
    with pytest.raises(SystemExit, match=r'epoch_1\.pth does not fit the model.*size mismatch'):
        run_tool(
            'test',
            DIGITS,
            finished / 'epoch_1.pth',
            '--work-dir',
            finished / 'test',
        )


def test_test_tool_repeats_the_validation(finished, run_tool):
    import mmengine
    from helpers import logged

    trained = logged(finished)[-1]['rotation/accuracy']
    # as a resumed training leaves it in its work dir, which testing shares
    dumped = finished / 'nin4_digits.py'
    dumped.write_text(dumped.read_text().replace('resume = False', 'resume = True'))
    before = dumped.read_text()
    run_tool(
        'test',
        dumped,
        finished / 'epoch_1.pth',
        '--work-dir',
        finished,
        '--out',
        finished / 'metrics.json',
        '--out-item',
        'metrics',
        '--cfg-options',
        *QUICK,
        'test_dataloader.dataset.indices=4',
    )
    assert mmengine.load(finished / 'metrics.json')['rotation/accuracy'] == trained
    assert dumped.read_text() == before


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--out', 'a.txt'], 'expected a file ending in .pkl, .pickle'),
        (['--out', 'a.txt', '--out-item', 'metrics'], 'expected a file ending in .json'),
        (['--out-item', 'metrics'], '--out-item: expected --out as well'),
    ],
)
def test_test_tool_checks_its_output_first(arguments, message, run_tool, capsys):
    with pytest.raises(SystemExit, match='2'):
        run_tool('test', DIGITS, 'none.pth', *arguments)
    assert message in capsys.readouterr().err


def test_drawing_and_tta_of_the_hosts():
    from mmrot.cli import draw_predictions, use_tta

    args = argparse.Namespace(show=False, show_dir='out', interval=3, wait_time=1.0)
    for scope, switch, place in (
        ('mmpretrain', 'enable', 'out_dir'),
        ('mmdet', 'draw', 'test_out_dir'),
    ):
        cfg = Config(dict(default_scope=scope, default_hooks=dict(visualization=dict(type='V'))))
        draw_predictions(cfg, args)
        assert cfg.default_hooks.visualization == {
            'type': 'V',
            'show': False,
            'interval': 3,
            'wait_time': 1.0,
            switch: True,
            place: 'out',
        }
    with pytest.raises(ValueError, match=r'expected default_hooks\.visualization'):
        draw_predictions(Config(dict(default_hooks={})), args)
    cfg = Config(
        dict(
            model=dict(type='M'),
            tta_model=dict(type='T'),
            tta_pipeline=[1],
            test_dataloader=dict(dataset=dict(pipeline=[2])),
        )
    )
    use_tta(cfg)
    assert cfg.model == dict(type='T', module=dict(type='M'))
    assert cfg.test_dataloader.dataset.pipeline == [1]
    with pytest.raises(ValueError, match='--tta: expected tta_model in the config'):
        use_tta(Config({}))


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_amp_on_a_cpu_computes_in_bfloat16(tmp_path, run_tool, monkeypatch):
    """Features are bfloat16 in training, weights and losses float32, validation float32."""
    seen = []
    forward = RotationHead.forward

    def spy(self, feats):
        seen.append((self.training, feats[-1].dtype))
        return forward(self, feats)

    monkeypatch.setattr(RotationHead, 'forward', spy)
    run_tool('train', DIGITS, '--amp', '--work-dir', tmp_path, '--cfg-options', *QUICK)
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    weights = torch.load(next(tmp_path.glob('epoch_*.pth')), weights_only=False)['state_dict']
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_amp_on_a_gpu_scales_losses(monkeypatch):
    monkeypatch.setattr('mmrot.cli.get_device', lambda: 'cuda')
    cfg = Config({'optim_wrapper': {'type': 'OptimWrapper'}})
    use_amp(cfg)
    assert cfg.optim_wrapper == {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}


def test_auto_scale_lr_counts_images(tmp_path, run_tool):
    """16 of 64 images a batch, rotated or not: a quarter of the rate."""
    from helpers import logged

    options = [*QUICK, 'train_dataloader.batch_size=16', 'train_dataloader.dataset.indices=16']
    run_tool('train', DIGITS, '--auto-scale-lr', '--work-dir', tmp_path, '--cfg-options', *options)
    assert logged(tmp_path)[0]['lr'] == pytest.approx(0.1 * 16 / 64)


def probes(name: str) -> Config:
    return Config.fromfile(mmrot.config_path(f'benchmarks/classification/{name}.py'))


def test_labelled_folder_replaces_the_data_and_the_number_of_classes(labelled_folder):
    cfg = probes('nin4_conv_cifar10')
    use_labelled_folder(cfg, str(labelled_folder))
    assert cfg.model.head.num_classes == 3
    assert cfg.data_preprocessor.to_rgb
    assert cfg.train_dataloader.dataset.data_prefix == 'train'
    assert cfg.val_dataloader.dataset.data_prefix == 'test'
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert [dataset.get_data_info(i)['gt_label'] for i in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    assert dataset[5]['inputs'].shape == (3, 32, 32)
    sample = DATASETS.build(cfg.val_dataloader.dataset)[3]
    assert sample['inputs'].float().mean() == pytest.approx(110, abs=5)  # 90 + 0..39


def test_labelled_folder_stays_in_its_wrapper(labelled_folder):
    cfg = probes('nin4_semi_supervised_cifar10')
    use_labelled_folder(cfg, str(labelled_folder))
    subset = cfg.train_dataloader.dataset
    assert (subset.type, subset.epoch_length) == ('mmrot.PerClassSubset', 50000)
    assert subset.dataset.type == 'mmpretrain.CustomDataset'
    subset.num_per_class = 2
    assert DATASETS.build(subset).indices.tolist() == [0, 4, 8, 1, 5, 9]


@pytest.mark.parametrize(
    ('folders', 'message'),
    [
        ((), 'there is no train/'),
        (('train/a',), 'there is no test/'),
        (('train/a', 'val/a', 'val/b'), 'expected the same classes in train/ and val/; not in b'),
        (('train', 'test'), 'the same classes in train/ and test/; not in both: there is none'),
    ],
)
def test_labelled_folders_that_are_none(folders, message, tmp_path):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        use_labelled_folder(probes('nin4_conv_cifar10'), str(tmp_path))


def test_backbone_reaches_its_hook():
    cfg = probes('nin4_conv_cifar10')
    set_backbone(cfg, 'a, b.pth')  # which --cfg-options would take for a list
    assert cfg.default_hooks.load_backbone.checkpoint == 'a, b.pth'
    with pytest.raises(ValueError, match='--backbone x: expected a config with'):
        set_backbone(Config.fromfile(DIGITS), 'x')


def test_spaces_in_a_path():
    options = parse(
        'x.py', '--cfg-options', 'data_root=/my data/set 1', 'a.b=[(1, 2), 3]'
    ).cfg_options
    assert options == {'data_root': '/my data/set 1', 'a.b': [(1, 2), 3]}


def test_what_is_said_of_validation_holds_for_testing(tmp_path):
    """Where a config tests on what it validates on."""
    path = tmp_path / 'config.py'
    path.write_text(
        "val_dataloader = dict(dataset=dict(type='A'), batch_size=1)\n"
        'test_dataloader = val_dataloader\n'
        "val_evaluator = dict(type='M')\n"
        "test_evaluator = dict(type='N')\n"
    )
    options = ['val_dataloader.batch_size=5', 'val_evaluator.k=2']
    cfg = load_config(parse(str(path), '--cfg-options', *options))
    assert cfg.val_dataloader.batch_size == cfg.test_dataloader.batch_size == 5
    assert (cfg.val_evaluator.k, cfg.test_evaluator) == (2, dict(type='N'))
    cfg = load_config(parse(str(path), '--cfg-options', *options, 'test_dataloader.batch_size=7'))
    assert (cfg.val_dataloader.batch_size, cfg.test_dataloader.batch_size) == (5, 7)
