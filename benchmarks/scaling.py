"""One process against two, each with one thread."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from timing import benchmark


def _seconds_per_step(folder: str, processes: int, batch_size: int) -> float:
    with tempfile.TemporaryDirectory() as work_dir:
        options = [
            'model.backbone.width=48',
            'model.head.in_channels=48',
            'train_dataloader.dataset.dataset.indices=1600',
            f'train_dataloader.batch_size={batch_size}',
            'train_cfg.max_epochs=1',
            'default_hooks.logger.interval=5',
            'default_hooks.checkpoint.interval=10',
        ]
        job = [sys.executable, '-m', 'mmrot.cli', 'train', 'rotnet/nin4_cifar10.py']
        job += ['--image-folder', folder, '--in-memory', '--no-validate', '--work-dir', work_dir]
        job += ['--gpus', str(processes)] * (processes > 1)
        subprocess.run(
            [*job, '--cfg-options', *options],
            check=True,
            capture_output=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
        )
        log = next(Path(work_dir).glob('*/vis_data/scalars.json'))
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        return float(np.median([row['time'] for row in rows if 'time' in row][1:]))


@benchmark(
    'Images per second of all processes, NIN of width 48, each with 1 thread',
    unit='images/s',
    needs=('small_photos',),
)
def scaling(options: Any) -> dict[str, list[float]]:
    setups = {
        '1 process, batch of 32': (1, 32),
        '2 processes, batches of 16 (strong)': (2, 16),
        '2 processes, batches of 32 (weak)': (2, 32),
    }
    rates: dict[str, list[float]] = {name: [] for name in setups}
    for _ in range(options.rounds or 3):
        for name, (processes, batch_size) in setups.items():
            seconds = _seconds_per_step(options.small_photos, processes, batch_size)
            rates[name].append(processes * batch_size / seconds)
    return rates
