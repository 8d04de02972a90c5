"""Kill training again and again, resume it, and compare the weights with an uninterrupted run.

    python benchmarks/faults.py --out benchmarks/results/faults.json

A small NIN trains on 320 digits, with checkpoints within and after epochs and validation after
each epoch. A case is a number of processes and of workers; its runs are killed with SIGKILL, or
asked to stop with SIGTERM, after a random time, and resumed until they finish. Kills aimed at
saving hit while a checkpoint of 40 MB is written. Two launchers on this machine stand for two
nodes, of which one fails. The last case limits the size of files, as a full disk does. Most jobs
are forked from this process, which has imported the packages before.
"""

import argparse
import atexit
import json
import math
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

import mmrot
from mmrot.cli.errors import report_errors
from mmrot.engine import Runner
from mmrot.engine.resume import list_checkpoints
from mmrot.errors import UserError
from mmrot.weights.checkpoint import load_checkpoint
from mmrot.weights.digest import weights_sha256

CASES = [(1, 0), (1, 2), (2, 0), (2, 2)]  # processes, workers
EPOCHS = 3
BALLAST = 40_000_000  # bytes


@HOOKS.register_module()
class BallastHook(Hook):
    """Makes checkpoints large, so that it takes time to write them."""

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add random bytes."""
        checkpoint['ballast'] = torch.randint(256, (BALLAST,), dtype=torch.uint8)


def free_port() -> int:
    """Ask the system for a free port."""
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


class Job:
    """One start of a training job, with a process for each rank.

    Args:
        work_dir: Work directory.
        processes: Number of processes.
        workers: Number of workers of each dataloader.
        ballast: Whether checkpoints are large.
        file_limit: Size in bytes that no file may exceed.
    """

    def __init__(
        self,
        work_dir: Path,
        processes: int,
        workers: int,
        ballast: bool = False,
        file_limit: int | None = None,
    ) -> None:
        port = free_port()
        self.log = work_dir.with_suffix('.log')
        self.ranks = []
        for rank in range(processes):
            pid = os.fork()
            if not pid:
                atexit._clear()  # the folder is removed by this process alone
                if file_limit is not None:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
                os.setsid()
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.environ.update(
                    RANK=str(rank),
                    LOCAL_RANK=str(rank),
                    WORLD_SIZE=str(processes),
                    MASTER_ADDR='127.0.0.1',
                    MASTER_PORT=str(port),
                )
                run(config(work_dir, processes, workers, ballast))
            self.ranks.append(pid)

    def kill(self, number: int) -> None:
        """Send a signal to all processes."""
        for pid in self.ranks:
            os.kill(pid, number)

    def running(self) -> bool:
        """Return whether the first process is running."""
        return os.waitid(os.P_PID, self.ranks[0], os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self) -> list[int]:
        """Wait for all processes and return their exit codes."""
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.ranks]


def config(work_dir: Path, processes: int, workers: int, ballast: bool) -> Config:
    """Return the config of a job, which resumes what the work directory contains."""
    cfg = Config.fromfile(mmrot.config_path('rotnet/nin4_digits.py'))
    cfg.merge_from_dict(
        {
            'model.backbone.width': 12,
            'model.head.in_channels': 12,
            'train_dataloader.dataset.indices': 320,
            'val_dataloader.dataset.indices': 64,
            'train_dataloader.batch_size': 16 // processes,
            'val_dataloader.batch_size': 8,
            'train_dataloader.num_workers': workers,
            'val_dataloader.num_workers': workers,
            'train_dataloader.persistent_workers': workers > 0,
            'val_dataloader.persistent_workers': workers > 0,
            'train_cfg.max_epochs': EPOCHS,
            'default_hooks.logger.interval': 1,
            'default_hooks.checkpoint': dict(
                type='CheckpointHook', by_epoch=False, interval=7, max_keep_ckpts=2
            ),
            'randomness.seed': 0,
            'resume': True,
            'work_dir': str(work_dir),
            'launcher': 'pytorch' if processes > 1 else 'none',
        }
    )
    if ballast:
        cfg.custom_hooks = [dict(type='BallastHook')]
    return cfg


def run(cfg: Config) -> None:
    """Train in this process, and exit."""
    torch.set_num_threads(1)
    status = 1
    try:
        with report_errors():
            Runner.from_cfg(cfg).train()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def final_weights(work_dir: Path) -> str:
    """Return the hash of the weights after the last iteration."""
    last = work_dir / f'iter_{EPOCHS * 20}.pth'
    if not last.exists():
        sys.exit(f'no {last}: {work_dir.with_suffix(".log").read_text()[-3000:]}')
    return weights_sha256(load_checkpoint(last)['state_dict'])


def stop_at_random(rng: random.Random, duration: float) -> Callable[[Job, Path], None]:
    """Return a function that waits for a random time, up to the duration of a run."""
    return lambda job, work_dir: time.sleep(rng.uniform(0, duration))


def stop_in_save(rng: random.Random) -> Callable[[Job, Path], None]:
    """Return a function that waits until one of the next checkpoints is being written."""

    def wait(job: Job, work_dir: Path) -> None:
        for _ in range(rng.randint(1, 4)):
            while job.running() and not [*work_dir.glob('.*.tmp')]:
                time.sleep(0.0005)
            time.sleep(rng.uniform(0, 0.05))

    return wait


def trials(
    name: str,
    number: int,
    count: int,
    folder: Path,
    wait: Callable[[Job, Path], None],
    rng: random.Random,
    reference: str,
    **options,
) -> dict:
    """Stop and resume runs until a number of stops has been reached.

    Returns:
        Numbers of signals sent, of runs, and of those that ended in the reference's weights, and
        the numbers of exit codes and of files that were incomplete after a stop.
    """
    sent = equal = runs = torn = 0
    codes: dict[str, int] = {}
    while sent < count:
        work_dir = folder / f'{name}_{runs}'
        job = Job(work_dir, **options)
        for _ in range(rng.randint(1, 4)):
            wait(job, work_dir)
            if not job.running():
                break
            job.kill(number)
            sent += 1
            for code in job.wait():
                codes[str(code)] = codes.get(str(code), 0) + 1
            torn += sum(not loads(path) for path in list_checkpoints(work_dir))
            job = Job(work_dir, **options)
        if any(job.wait()):
            print(f'{name}: {work_dir} could not be resumed, see {job.log}', file=sys.stderr)
            runs += 1
            continue
        runs += 1
        equal += final_weights(work_dir) == reference
        shutil.rmtree(work_dir)
        print(f'{name} {options}: {sent} stops, {equal} of {runs} runs equal', flush=True)
    return dict(stops=sent, runs=runs, equal=equal, torn_files=torn, exit_codes=codes)


def loads(path: Path) -> bool:
    """Return whether a checkpoint can be read."""
    try:
        load_checkpoint(path)
    except UserError:
        return False
    return True


def full_disk(folder: Path, count: int, rng: random.Random, reference: str) -> dict:
    """Limit the size of files below that of a checkpoint after the first one."""
    resumed = equal = 0
    for index in range(count):
        work_dir = folder / f'full_{index}'
        job = Job(work_dir, 1, 0, ballast=True)
        stop_in_save(rng)(job, work_dir)
        job.kill(signal.SIGTERM)
        job.wait()
        job = Job(work_dir, 1, 0, ballast=True, file_limit=rng.randrange(100_000, BALLAST))
        failed = job.wait() == [1]
        job = Job(work_dir, 1, 0, ballast=True)
        resumed += failed and job.wait() == [0]
        equal += final_weights(work_dir) == reference
        shutil.rmtree(work_dir)
    return dict(runs=count, failed_and_resumed=resumed, equal=equal)


class Node:
    """A launcher on one of two nodes, with one process.

    Args:
        rank: Rank of the node.
        work_dir: Work directory.
        port: Port of the rendezvous.
    """

    def __init__(self, rank: int, work_dir: Path, port: int) -> None:
        cfg = config(work_dir, 2, 0, ballast=False)
        cfg.env_cfg.dist_cfg = dict(backend='nccl', timeout=10)
        cfg.launcher = 'none'  # the command line sets it
        file = work_dir.with_suffix('.py')
        cfg.dump(file)
        self.log = work_dir.with_suffix('.log')
        with self.log.open('a') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'mmrot.cli', 'train', file, '--gpus', '1', '--resume'],
                env={**os.environ, 'NNODES': '2', 'NODE_RANK': str(rank), 'PORT': str(port)},
                stdout=log,
                stderr=log,
            )

    def ranks(self) -> list[int]:
        """Return the processes that train."""
        found = subprocess.run(
            ['pgrep', '-P', str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in found.stdout.split()]

    def wait_for(self, text: str) -> None:
        """Wait until the log contains a text."""
        while text not in self.log.read_text():
            if self.process.poll() is not None:
                sys.exit(self.log.read_text())
            time.sleep(0.01)


def two_nodes(folder: Path, fault: str, reference: str) -> dict:
    """Break one of two nodes and resume the job.

    Args:
        folder: Folder for the work directory.
        fault: ``'killed'``: all processes of the second node are killed; ``'launcher killed'``:
            its launcher; ``'hangs'``: its training process is stopped, and killed after the first
            node has ended, which its own launcher cannot know.
        reference: Hash of the final weights of an uninterrupted run.
    """
    work_dir = folder / f'nodes {fault}'
    port = free_port()
    nodes = [Node(rank, work_dir, port) for rank in range(2)]
    nodes[0].wait_for('Epoch(train) [1][10/20]')
    ranks = nodes[1].ranks()
    if fault == 'hangs':
        os.kill(ranks[0], signal.SIGSTOP)
    else:
        nodes[1].process.kill()
        for pid in ranks * (fault == 'killed'):
            os.kill(pid, signal.SIGKILL)
    started = time.monotonic()
    statuses = [nodes[0].process.wait(120)]
    seconds = time.monotonic() - started
    if fault == 'hangs':
        os.kill(ranks[0], signal.SIGKILL)
    statuses.append(nodes[1].process.wait(120))
    time.sleep(1)
    left = [pid for pid in ranks if Path(f'/proc/{pid}').exists()]
    port = free_port()
    nodes = [Node(rank, work_dir, port) for rank in range(2)]
    resumed = [node.process.wait(120) for node in nodes]
    return dict(
        statuses=statuses,
        seconds_until_first_ended=round(seconds, 1),
        processes_left=len(left),
        resumed=resumed == [0, 0],
        equal=final_weights(work_dir) == reference,
    )


def main() -> None:
    """Run the experiments."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--kills', type=int, default=200, help='SIGKILLs, over all cases')
    parser.add_argument('--signals', type=int, default=50, help='SIGTERMs, over all cases')
    parser.add_argument('--torn', type=int, default=30, help='SIGKILLs aimed at saving')
    parser.add_argument('--full-disk', type=int, default=10, help='runs that fill the disk')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, help='JSON file to write')
    args = parser.parse_args()
    rng = random.Random(args.seed)
    torch.set_num_threads(1)
    results: dict = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        references = {}
        for processes, workers in CASES:
            work_dir = folder / f'reference_{processes}_{workers}'
            started = time.monotonic()
            job = Job(work_dir, processes, workers)
            if any(job.wait()):
                sys.exit(job.log.read_text())
            duration = time.monotonic() - started
            references[processes, workers] = final_weights(work_dir)
            case = f'processes={processes}, workers={workers}'
            for name, number, count in (
                ('SIGKILL', signal.SIGKILL, args.kills),
                ('SIGTERM', signal.SIGTERM, args.signals),
            ):
                results[f'{name}, {case}'] = trials(
                    name,
                    number,
                    math.ceil(count / len(CASES)),
                    folder,
                    stop_at_random(rng, duration),
                    rng,
                    references[processes, workers],
                    processes=processes,
                    workers=workers,
                )
        results['same weights for 0 and 2 workers'] = all(
            references[processes, 0] == references[processes, 2] for processes in (1, 2)
        )
        results['SIGKILL aimed at saving'] = trials(
            'torn',
            signal.SIGKILL,
            args.torn,
            folder,
            stop_in_save(rng),
            rng,
            references[1, 0],
            processes=1,
            workers=0,
            ballast=True,
        )
        for fault in ('killed', 'launcher killed', 'hangs'):
            results[f'two nodes, one {fault}'] = two_nodes(folder, fault, references[2, 0])
        results['full disk'] = full_disk(folder, args.full_disk, rng, references[1, 0])
    text = json.dumps(results, indent=2)
    print(text)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text + '\n')


if __name__ == '__main__':
    main()
