"""Whole runs of the command line, good and bad."""

import shutil
from pathlib import Path

import mmengine
import pytest
import torch
from helpers import logged

import mmrot
from mmrot.models import RotationHead

DIGITS = mmrot.config_path('rotnet/nin4_digits.py')
ALEXNET = mmrot.config_path('rotnet_alexnet_in1k.py')
QUICK = [
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.indices=8',
    'val_dataloader.dataset.indices=4',
    'train_dataloader.batch_size=4',
    'model.backbone.width=12',
    'model.head.in_channels=12',
]
OPTIONS = ['--cfg-options', *QUICK]


@pytest.fixture(scope='module')
def finished(tmp_path_factory, request) -> Path:
    """Work directory of a finished run; only read it, or a copy."""
    from helpers import forget_jobs

    from mmrot.cli.train import main

    work_dir = tmp_path_factory.mktemp('finished')
    main([DIGITS, '--work-dir', str(work_dir), *OPTIONS])
    forget_jobs()
    return work_dir


@pytest.fixture(scope='module')
def bad(tmp_path_factory, finished) -> Path:
    """Folder with broken checkpoints, and an empty folder ``empty``."""
    folder = tmp_path_factory.mktemp('bad')
    (folder / 'empty').mkdir()
    whole = (finished / 'epoch_1.pth').read_bytes()
    (folder / 'cut.pth').write_bytes(whole[: len(whole) // 2])
    (folder / 'void.pth').write_bytes(b'')
    (folder / 'text.pth').write_text('no checkpoint')
    state = torch.load(finished / 'epoch_1.pth', weights_only=False)['state_dict']
    torch.save(dict(state_dict=state), folder / 'weights.pth')
    return folder


def snapshot(folder: Path) -> dict[Path, bytes]:
    """Return the checkpoints and configs; jobs of the same second share a log folder."""
    return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        pytest.param([DIGITS, *OPTIONS, 'optim_wraper.a=1'], "'optim_wraper' is not", id='option'),
        pytest.param([DIGITS, *OPTIONS, 'model.angles=0,90,90'], 'angle 90 ', id='angle twice'),
        pytest.param([DIGITS, *OPTIONS, 'model.angles=0,30'], 'angle 30', id='angle'),
        pytest.param(['{bad}/none.py', *OPTIONS], '{bad}/none.py', id='config'),
        pytest.param(
            [ALEXNET, '--cfg-options', 'data_root={bad}/none'], '{bad}/none', id='data root'
        ),
        pytest.param([ALEXNET, '--image-folder', '{bad}/none'], '{bad}/none', id='image folder'),
        pytest.param(
            [ALEXNET, '--image-folder', '{bad}/empty'], 'has no photo', id='empty image folder'
        ),
        pytest.param(
            [DIGITS, *OPTIONS, 'model.head.in_channels=100'], 'in_channels=100', id='in_channels'
        ),
        pytest.param([DIGITS, *OPTIONS, 'model.head.in_index=5'], 'in_index=5', id='in_index'),
        pytest.param(
            [DIGITS, '--resume', '{bad}/cut.pth', *OPTIONS], '{bad}/cut.pth', id='cut checkpoint'
        ),
        pytest.param(
            [DIGITS, '--resume', '{bad}/void.pth', *OPTIONS], '{bad}/void.pth', id='empty file'
        ),
        pytest.param(
            [DIGITS, '--resume', '{bad}/text.pth', *OPTIONS], '{bad}/text.pth', id='text file'
        ),
        pytest.param(
            [DIGITS, '--resume', '{bad}/none.pth', *OPTIONS], 'none.pth', id='no such checkpoint'
        ),
        pytest.param(
            [DIGITS, '--resume', '{bad}/weights.pth', *OPTIONS],
            "checkpoint {bad}/weights.pth has no 'meta'",
            id='resume from weights',
        ),
        pytest.param(
            [
                *(DIGITS, '--resume', '{finished}/epoch_1.pth', *OPTIONS),
                *('model.backbone.width=18', 'model.head.in_channels=18'),
            ],
            'checkpoint {finished}/epoch_1.pth does not match the model',
            id='resume another width',
        ),
        pytest.param(
            [
                *(DIGITS, *OPTIONS, 'load_from={finished}/epoch_1.pth'),
                'model.backbone.num_blocks=5',
            ],
            'backbone.block5',
            id='load fewer blocks',
        ),
    ],
)
def test_bad_input_is_one_line_and_overwrites_nothing(arguments, message, finished, bad, run_tool):
    before = snapshot(finished)
    config, *rest = [text.format(bad=bad, finished=finished) for text in arguments]
    with pytest.raises(SystemExit) as exit_info:
        run_tool('train', config, '--work-dir', finished, '--overwrite', *rest)
    text = exit_info.value.code
    assert text.startswith('mmrot: error: ')
    assert message.format(bad=bad, finished=finished) in text
    assert '\n' not in text
    assert len(text) < 700
    after = snapshot(finished)
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize(
    ('option', 'error'),
    [
        ('model.backbone.widht=6', TypeError),
        ('train_cfg.max_epoch=6', TypeError),
        ('compile=abc', AssertionError),
    ],
)
def test_error_of_a_class_keeps_its_traceback(option, error, finished, run_tool):
    before = snapshot(finished)
    with pytest.raises(error):
        run_tool('train', DIGITS, '--work-dir', finished, '--overwrite', *OPTIONS, option)
    after = snapshot(finished)
    assert {path: after.get(path) for path in before} == before


def test_used_work_dir_is_refused_or_overwritten(finished, tmp_path, run_tool):
    shutil.copytree(finished, tmp_path / 'used')
    arguments = ['train', DIGITS, '--work-dir', tmp_path / 'used']
    before = snapshot(tmp_path / 'used')
    folders = [*(tmp_path / 'used').iterdir()]
    with pytest.raises(SystemExit, match=r'epoch_\d+\.pth is from an earlier run\. Use --resume'):
        run_tool(*arguments, *OPTIONS)
    assert snapshot(tmp_path / 'used') == before
    assert [*(tmp_path / 'used').iterdir()] == folders  # not even a log
    run_tool(*arguments, '--overwrite', *OPTIONS, 'randomness.seed=5')
    assert snapshot(tmp_path / 'used') != before


def test_job_that_cannot_start_prints_one_line_and_leaves_nothing(tmp_path, run_tool, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit, match='in_channels=100'):
        run_tool(
            *('train', DIGITS, '--work-dir', tmp_path / 'new' / 'work', *OPTIONS),
            'model.head.in_channels=100',
        )
    printed = capsys.readouterr()
    assert 'System environment' not in printed.out
    assert 'Hooks will be executed' not in printed.out
    assert list(tmp_path.iterdir()) == []


def test_interrupted_training_says_how_to_resume(tmp_path, run_tool, capsys, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    arguments = ['train', DIGITS, '--work-dir', tmp_path, *OPTIONS, 'train_cfg.max_epochs=2']
    monkeypatch.setattr(
        'mmengine.runner.loops.EpochBasedTrainLoop._decide_current_val_interval', interrupt
    )
    with pytest.raises(SystemExit, match='130'):
        run_tool(*arguments)
    first, last, resume = capsys.readouterr().err.splitlines()[-3:]
    assert first.startswith('mmrot: interrupted after ')
    assert last == f'Last checkpoint: {tmp_path}/epoch_1.pth.'
    assert resume.startswith('To resume: ')
    assert resume.endswith('--resume')


def test_test_refuses_a_checkpoint_that_does_not_fit(finished, tmp_path, run_tool):
    with pytest.raises(SystemExit, match=r'epoch_1\.pth does not match the model.*size mismatch'):
        run_tool('test', DIGITS, finished / 'epoch_1.pth', '--work-dir', tmp_path)


def test_test_repeats_the_validation_and_keeps_the_config(finished, run_tool):
    trained = logged(finished)[-1]['rotation/accuracy']
    # as a resumed run leaves it in its work directory, which testing shares
    dumped = finished / 'nin4_digits.py'
    dumped.write_text(dumped.read_text().replace('resume = False', 'resume = True'))
    before = dumped.read_text()
    out = finished / 'metrics.json'
    run_tool(
        *('test', dumped, finished / 'epoch_1.pth', '--work-dir', finished),
        *('--out', out, '--out-item', 'metrics', *OPTIONS, 'test_dataloader.dataset.indices=4'),
    )
    assert mmengine.load(out)['rotation/accuracy'] == trained
    assert dumped.read_text() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.parametrize('supported', [True, False])
def test_amp_on_a_cpu_trains_in_bfloat16_where_supported(
    tmp_path, run_tool, monkeypatch, supported
):
    """Features are bfloat16 in training, weights and losses float32, validation float32."""
    monkeypatch.setattr('mmrot.engine.bfloat16_optim_wrapper.has_bfloat16', lambda: supported)
    seen = []
    forward = RotationHead.forward

    def spy(self, feats):
        seen.append((self.training, feats[-1].dtype))
        return forward(self, feats)

    monkeypatch.setattr(RotationHead, 'forward', spy)
    run_tool('train', DIGITS, '--amp', '--work-dir', tmp_path, *OPTIONS)
    trained_in = torch.bfloat16 if supported else torch.float32
    assert set(seen) == {(True, trained_in), (False, torch.float32)}
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert ('bfloat16 is slow on this device: training in float32' in log) != supported
    weights = torch.load(next(tmp_path.glob('epoch_*.pth')), weights_only=False)['state_dict']
    assert {w.dtype for w in weights.values() if w.is_floating_point()} == {torch.float32}


def test_monitor_is_an_option_of_train(tmp_path, run_tool):
    run_tool('train', DIGITS, '--monitor', 'rank', '--work-dir', tmp_path, *OPTIONS)
    rows = [row['rank/block4'] for row in logged(tmp_path) if 'rank/block4' in row]
    assert len(rows) == 2  # before training and after the epoch
    assert min(rows) >= 1


def test_vis_logs_training_and_validation_over_iterations(tmp_path, run_tool):
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_tool(
        *('train', DIGITS, '--vis', 'tensorboard', '--work-dir', tmp_path),
        *(*OPTIONS, 'train_cfg.max_epochs=2', 'default_hooks.logger.interval=1'),
    )
    (events,) = tmp_path.glob('*/vis_data/events.*')
    curves = EventAccumulator(str(events)).Reload()
    iterations = [event.step for event in curves.Scalars('loss')]
    per_epoch = len(iterations) // 2
    assert iterations == [*range(1, 2 * per_epoch + 1)]
    validations = [event.step for event in curves.Scalars('rotation/accuracy')]
    assert validations == [per_epoch, 2 * per_epoch]
    assert curves.Scalars('loss')[-1].value == pytest.approx(logged(tmp_path)[-2]['loss'])


@pytest.mark.parametrize('named', [True, False])
def test_trust_applies_to_the_checkpoint_to_resume(named, finished, tmp_path, run_tool):
    checkpoint = torch.load(finished / 'epoch_1.pth', weights_only=False)
    checkpoint['meta']['folder'] = tmp_path  # not among the objects that are allowed
    file = tmp_path / 'epoch_1.pth'
    torch.save(checkpoint, file)
    arguments = ['train', DIGITS, '--work-dir', tmp_path, '--resume', *[file] * named]
    with pytest.raises(SystemExit, match=r'PosixPath|more than weights'):
        run_tool(*arguments, *OPTIONS, 'train_cfg.max_epochs=2')
    run_tool(*arguments, '--trust', *OPTIONS, 'train_cfg.max_epochs=2')
    assert (tmp_path / 'epoch_2.pth').exists()


def test_auto_scale_lr_counts_images_not_copies(tmp_path, run_tool):
    """16 of 64 images per batch, rotated or not: a quarter of the rate."""
    options = [*OPTIONS, 'train_dataloader.batch_size=16', 'train_dataloader.dataset.indices=16']
    run_tool('train', DIGITS, '--auto-scale-lr', '--work-dir', tmp_path, *options)
    assert logged(tmp_path)[0]['lr'] == pytest.approx(0.1 * 16 / 64)
