"""Jobs in several processes: results, errors and launchers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, free_port, logged

# Without batch norm and augmentation, the processes of a job together compute what one process
# does, up to the rounding of sums.
CONFIG = """
_base_ = 'mmrot::rotnet/nin4_digits.py'
custom_imports = dict(imports=['record_losses'])
custom_hooks = [dict(type='RecordLosses')]
model = dict(backbone=dict(width=12, norm_cfg=None), head=dict(in_channels=12))
train_dataloader = dict(
    batch_size={batch_size},
    dataset=dict(indices=32, pipeline=[dict(type='mmpretrain.PackInputs')]),
)
val_dataloader = dict(batch_size=4, dataset=dict(indices=9))
test_dataloader = dict(batch_size=4, dataset=dict(indices=9))
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_epochs=2)
"""
# Each rank writes its own losses, and the rank in FAIL raises an error.
HOOK = """
import json, os
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class RecordLosses(Hook):
    def before_run(self, runner):
        self.losses = []
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(outputs['loss'].item())
        if os.environ.get('FAIL') == str(runner.rank):
            raise RuntimeError('this rank fails')
    def after_run(self, runner):
        with open(f'{runner.work_dir}/rank{runner.rank}.json', 'w') as file:
            json.dump(self.losses, file)
"""
FAKE_SRUN = """#!/usr/bin/env bash
# run the command after srun's own options once for each task
args="$*"; tasks=${{args##*--ntasks=}}; tasks=${{tasks%% *}}
echo "srun $*" >> {log}
while [ "$1" != {python} ]; do shift; done
export SLURM_NTASKS=$tasks SLURM_NODELIST=here
for ((i = 1; i < tasks; i++)); do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & done
SLURM_PROCID=0 SLURM_LOCALID=0 "$@"; status=$?
wait
exit $status
"""


@pytest.fixture
def job(tmp_path):
    """A function that writes the config for a batch size, and the environment of a job."""
    (tmp_path / 'record_losses.py').write_text(HOOK)
    env = {
        **os.environ,
        'PYTHONPATH': f'{tmp_path}:{ROOT}',
        'PYTHON': sys.executable,
        'PYTHONWARNINGS': 'ignore',
        'PORT': str(free_port()),
        'MASTER_PORT': str(free_port()),
    }

    def write(batch_size: int) -> Path:
        path = tmp_path / f'batch{batch_size}.py'
        path.write_text(CONFIG.format(batch_size=batch_size))
        return path

    return write, env


def rank_losses(work_dir: Path, ranks: int) -> list[float]:
    """Return each iteration's loss, averaged over the ranks."""
    rows = [json.loads((work_dir / f'rank{rank}.json').read_text()) for rank in range(ranks)]
    return [sum(values) / ranks for values in zip(*rows, strict=True)]


def launch(*command: object, env: dict, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command], env=env, capture_output=True, text=True, **kwargs
    )


@pytest.mark.slow
def test_two_processes_train_and_test_like_one(job, tmp_path):
    write, env = job
    one, two = tmp_path / 'one', tmp_path / 'two'
    run = launch(sys.executable, ROOT / 'tools/train.py', write(8), '--work-dir', one, env=env)
    assert run.returncode == 0, run.stderr
    run = launch(ROOT / 'tools/dist_train.sh', write(4), 2, '--work-dir', two, env=env)
    assert run.returncode == 0, run.stderr
    if not torch.cuda.is_available():
        assert 'No GPU found: 2 processes run on the CPU with gloo.' in run.stderr
    single = rank_losses(one, 1)
    assert len(single) == 8
    assert single[0] != pytest.approx(single[-1], abs=1e-6)
    # bases from mmrot:: are built in mmrot's scope, which mmengine must know
    assert 'Failed to search registry' not in run.stdout + run.stderr
    assert rank_losses(two, 2) == pytest.approx(single, rel=1e-5)
    # 9 validation images on 2 processes: one is repeated, and must not count
    accuracy = logged(one)[-1]['rotation/accuracy']
    assert logged(two)[-1]['rotation/accuracy'] == pytest.approx(accuracy, abs=1e-6)

    run = launch(
        ROOT / 'tools/dist_test.sh',
        write(4),
        two / 'epoch_2.pth',
        2,
        '--work-dir',
        tmp_path / 'test',
        '--out',
        tmp_path / 'metrics.json',
        '--out-item',
        'metrics',
        env=env,
    )
    assert run.returncode == 0, run.stderr
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['rotation/accuracy'] == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.slow
def test_failing_rank_ends_the_job(job, tmp_path):
    write, env = job
    run = launch(
        ROOT / 'tools/dist_train.sh',
        write(4),
        2,
        '--work-dir',
        tmp_path / 'work',
        env={**env, 'FAIL': '1'},
        timeout=120,
    )
    assert run.returncode == 1
    assert 'this rank fails' in run.stderr
    # rank 0 loses its peer and fails too; torchrun names the one that it finds first
    assert re.search('mmrot: error: the process of rank [01] exited with status 1', run.stderr)


@pytest.mark.slow
def test_user_error_ends_all_ranks(job, tmp_path):
    write, env = job
    arguments = ('--work-dir', tmp_path / 'work', '--cfg-options', 'model.angles=0,0')
    run = launch(ROOT / 'tools/dist_train.sh', write(4), 2, *arguments, env=env, timeout=120)
    assert run.returncode == 1
    no_gpu, *lines = run.stderr.splitlines()
    if not torch.cuda.is_available():
        assert no_gpu.startswith('No GPU found')
    assert 'angle 0 is repeated' in lines[0]
    # at most one from each rank, and the launcher's
    assert len(lines) <= 3
    assert all(line.startswith('mmrot: error') for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_slurm_job_on_cpu_trains(job, tmp_path):
    """A fake srun starts the tasks on this machine."""
    write, env = job
    tools = tmp_path / 'bin'
    tools.mkdir()
    (tools / 'srun').write_text(FAKE_SRUN.format(log=tmp_path / 'srun.log', python=sys.executable))
    (tools / 'scontrol').write_text('#!/usr/bin/env bash\necho 127.0.0.1\n')
    for script in tools.iterdir():
        script.chmod(0o755)
    env.update(PATH=f'{tools}:{env["PATH"]}', GPUS='2', GPUS_PER_NODE='0', SRUN_ARGS='--exclusive')
    work = tmp_path / 'slurm'
    run = launch(ROOT / 'tools/slurm_train.sh', 'cpu', 'job', write(4), work, env=env, timeout=120)
    assert run.returncode == 0, run.stderr
    assert len(rank_losses(work, 2)) == 8
    called = (tmp_path / 'srun.log').read_text()
    assert '-p cpu --job-name=job --ntasks=2 --cpus-per-task=5 --kill-on-bad-exit=1' in called
    assert f'--exclusive {sys.executable} -u' in called
    assert '--launcher slurm' in called


@pytest.mark.parametrize(
    ('script', 'arguments', 'environment', 'message'),
    [
        ('dist_train.sh', ['c.py', '1'], {'PYTHON': 'nopython'}, 'PYTHON=nopython is not'),
        ('dist_train.sh', ['c.py'], {}, 'usage: '),
        ('dist_test.sh', ['c.py', 'c.pth'], {}, 'usage: '),
        ('slurm_train.sh', ['p', 'j', 'c.py'], {}, 'usage: '),
        ('slurm_test.sh', ['p', 'j', 'c.py'], {}, 'usage: '),
        ('slurm_train.sh', ['p', 'j', 'c', 'w'], {'GPUS': 'x'}, 'GPUS=x is not an integer'),
    ],
)
def test_launcher_with_bad_arguments_prints_one_line(script, arguments, environment, message):
    env = {**os.environ, 'PYTHON': sys.executable, **environment}
    run = launch(ROOT / 'tools' / script, *arguments, env=env)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1
