"""Runs of the study on a few images, with a network of width 12."""

import json
import runpy
import shutil

import numpy as np
import pytest
from helpers import ROOT, forget_jobs

from mmrot.results import write_records
from projects.cifar10_study import Settings, Study, find_data, select, study_records


@pytest.fixture
def study(data, tmp_path):
    """Return a function that builds a study which reports to the list ``messages``."""

    def build(messages=None, data=data, tools=ROOT / 'tools', **kwargs):
        settings = Settings(str(data), **{'budget': 0.01, 'width': 12, **kwargs})
        report = print if messages is None else messages.append
        return Study(settings, tmp_path / 'work', tmp_path / 'records.jsonl', tools, report)

    return build


@pytest.fixture
def _in_process(monkeypatch):
    """Run jobs in this process, which is several times faster than starting others."""

    def call(command, log, **kwargs):
        forget_jobs()
        monkeypatch.setattr('sys.argv', command[1:])
        runpy.run_path(command[1], run_name='__main__')

    for module in ('job', 'run'):
        monkeypatch.setattr(f'projects.cifar10_study.{module}.call', call)


@pytest.mark.slow
def test_study_records_its_runs_and_does_not_repeat_them(study, data, tmp_path):
    classifiers = select(cells=['table3/RotNet + conv'])
    messages: list[str] = []
    study(messages).run(classifiers, [3])
    assert messages[0] == '[1/1] conv, seed 3: started'
    table3, table9 = records = study_records(tmp_path / 'records.jsonl')
    # ten classes of two images each: the accuracy is the mean of theirs
    assert len(table9.values) == 10
    assert table3.values['accuracy'] == pytest.approx(np.mean(list(table9.values.values())))
    assert (table3.seed, table3.epochs, table3.pretraining_epochs) == (3, 1, 1)
    assert (table3.data, table3.settings['data']) == ('grey', 'grey')
    assert (table3.images, table3.training_images) == (20, 200)
    assert len(table3.config_sha256) == len(table3.pretraining_sha256) == 64
    assert table3.data_sha256 == find_data(data).sha256
    assert table3.checkpoint == 'nin4/epoch_1.pth'
    assert table3.seconds > 0
    assert table3.pretraining_seconds > 0
    assert table3.command == (
        'tools/reproduce_cifar10.sh --data grey --budget 0.01 --width 12 --seeds 3 --cells '
        "'table3/RotNet + conv'"
    )
    assert str(tmp_path) not in str(records)

    # a new study finds them
    messages.clear()
    study(messages).run(classifiers, [3])
    assert messages == ['[1/1] conv, seed 3: already recorded']
    # if a record is missing it is written again, without training
    work = tmp_path / 'work/grey-budget0.01-width12'
    logs = {path: path.read_text() for path in work.glob('*/output.log')}
    assert {path.parent.name for path in logs} == {'nin4_seed3', 'conv_seed3'}
    write_records([table3], tmp_path / 'records.jsonl')
    study(messages).run(classifiers, [3])
    assert study_records(tmp_path / 'records.jsonl') == records
    assert {path: path.read_text() for path in logs} == logs

    # other images of the same name are noticed
    other = tmp_path / 'other/grey'
    shutil.copytree(data, other)
    (other / 'train/bird/0.png').unlink()
    with pytest.raises(ValueError, match='1 of 1 failed: conv, seed 3'):
        study(messages, other).run(classifiers, [3])
    assert 'seed 3 was measured with another config or on other images' in messages[-1]
    (tmp_path / 'records.jsonl').unlink()
    with pytest.raises(ValueError, match='1 of 1 failed'):
        study(messages, other).run(classifiers, [3])
    assert 'nin4_seed3 was started with another config or on other images' in messages[-1]
    assert not (tmp_path / 'records.jsonl').exists()


@pytest.mark.slow
@pytest.mark.usefixtures('_in_process')
def test_study_records_few_labels(study, tmp_path):
    study().run(select(cells=['figure5b/supervised/20']), [0])
    (record,) = study_records(tmp_path / 'records.jsonl')
    assert (record.row, list(record.values)) == ('supervised', ['20'])
    assert (record.samples_per_epoch, record.checkpoint) == (200, 'random')
    assert record.pretraining_sha256 is None


@pytest.mark.slow
@pytest.mark.usefixtures('_in_process')
def test_study_records_the_rotation_accuracy_of_a_snapshot(study, tmp_path):
    runs = study(budget=0.05)
    runs.run(select(cells=['figure5a/*/40']), [0])
    records = {record.row: record for record in study_records(tmp_path / 'records.jsonl')}
    recognition, rotation = records['object recognition'], records['rotation prediction']
    assert list(rotation.values) == list(recognition.values) == ['40']
    assert rotation.config == 'rotnet/nin4_cifar10.py'
    assert rotation.config_sha256 == rotation.pretraining_sha256 == recognition.pretraining_sha256
    assert rotation.epochs == rotation.pretraining_epochs == 2
    assert rotation.iterations is rotation.batch_size is None
    job = json.loads((runs.work_dir / 'nin4_seed0/job.json').read_text())
    assert rotation.seconds == pytest.approx(job['seconds'] * 2 / 5, abs=0.8)
    right = rotation.values['40'] * 80 / 100  # of 20 images in 4 rotations
    assert right == pytest.approx(round(right), abs=1e-3)


def test_study_continues_after_a_failed_run(study, tmp_path):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text('raise SystemExit("no training today")')
    messages: list[str] = []
    runs = study(messages, tools=tmp_path / 'tools')
    with pytest.raises(ValueError, match='2 of 2 failed: conv, seed 1; nonlinear_nin4, seed 1'):
        runs.run(select(cells=['table3/RotNet + conv', 'table1/RotNet, 4 blocks']), [1])
    assert [message.partition(':')[0] for message in messages] == [
        '[1/2] conv, seed 1',
        '    pretraining nin4, seed 1',
        '[1/2] conv, seed 1',
        '[2/2] nonlinear_nin4, seed 1',
        '[2/2] nonlinear_nin4, seed 1',  # without a second attempt to pretrain
    ]
    assert 'nin4_seed1 failed, see ' in messages[2]
    assert messages[2].endswith('output.log: no training today')
    job = json.loads((runs.work_dir / 'nin4_seed1/job.json').read_text())
    assert not job['finished']


@pytest.mark.parametrize(
    ('cell', 'kwargs', 'message'),
    [
        ('figure5a/*/20', {}, 'nonlinear_nin4_20, seed 0: skipped, the budget is too small'),
        (
            'figure5b/supervised/20',
            {'images_per_class': 3},
            'subset_20, seed 0: skipped, there are only 3 images per class',
        ),
    ],
)
def test_study_skips_what_its_settings_exclude(cell, kwargs, message, study):
    messages: list[str] = []
    study(messages, **kwargs).run(select(cells=[cell]), [0])
    assert len(messages) == 1
    assert message in messages[0]


def test_study_of_all_images_is_not_reduced(study):
    assert study(images_per_class=20).work_dir == study().work_dir
    with pytest.raises(ValueError, match=r'--images-per-class 21: .*grey has only 20'):
        study(images_per_class=21)
