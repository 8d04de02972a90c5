"""Register benchmarks and time their variants in interleaved rounds."""

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

# One run. Returns the number of items that it processed or, for benchmarks in MiB, the memory.
Variant = Callable[[], int | float | None]
PACKAGES = ('torch', 'torchvision', 'opencv-python', 'opencv-python-headless', 'pillow', 'numpy')


@dataclass(frozen=True)
class Target:
    """A limit on the ratio of two variants.

    Args:
        variant: Name of the variant that is judged.
        reference: Name of the variant that it is compared with.
        limit: Limit on the ratio of their medians, in the benchmark's unit.
        at_most: Whether the limit is an upper bound; otherwise it is a lower bound.
    """

    variant: str
    reference: str
    limit: float
    at_most: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A benchmark.

    Args:
        name: Its name on the command line.
        title: What it measures, in a few words.
        function: Takes the command-line options and returns the variants or, if it times them
            itself, the seconds of each run.
        unit: ``'images/s'`` and other rates are computed from the number of items; ``'s'`` and
            ``'ms'`` are the time of a run; ``'MiB'`` is what the variants return, ``'%'`` what
            the function lists.
        rounds: Timed runs of each variant.
        warmup: Runs of each variant before them.
        threads: Threads of PyTorch; 0 for one on each core.
        targets: Ratios that are required.
        needs: Options without which it is skipped: ``'photos'``, ``'small_photos'``, ``'gpu'``.
    """

    name: str
    title: str
    function: Callable[[Any], Mapping[str, Variant | list[float]]]
    unit: str = 'ms'
    rounds: int = 9
    warmup: int = 1
    threads: int = 0
    targets: tuple[Target, ...] = ()
    needs: tuple[str, ...] = ()


REGISTRY: dict[str, Benchmark] = {}


def benchmark(title: str, **options: Any) -> Callable[[Callable], Callable]:
    """Register the decorated function under its name; see :class:`Benchmark`."""

    def register(function: Callable) -> Callable:
        name = function.__name__
        REGISTRY[name] = Benchmark(name, title, function, **options)
        return function

    return register


@dataclass
class Result:
    """The runs of a benchmark.

    Args:
        title: What was measured.
        unit: Unit of the values.
        threads: Threads of PyTorch.
        date: Day of the runs.
        data: Name of the dataset, if one was read.
        values: Each run of each variant.
        targets: Ratios that are required, and whether they were reached.
    """

    title: str
    unit: str
    threads: int
    date: str
    data: str
    values: dict[str, list[float]] = field(default_factory=dict)
    targets: list[dict] = field(default_factory=list)


def measure(bench: Benchmark, options: Any) -> Result:
    """Time the variants of a benchmark in turn, so that other load affects all alike.

    Args:
        bench: The benchmark.
        options: Options of the command line.
    """
    before = torch.get_num_threads()
    if bench.threads:
        torch.set_num_threads(bench.threads)
    variants = bench.function(options)
    rounds = options.rounds or bench.rounds
    values: dict[str, list[float]] = {name: [] for name in variants}
    for name, run in variants.items():
        if isinstance(run, list):
            values[name] = [_value(bench.unit, seconds, None) for seconds in run]
    to_run = {name: run for name, run in variants.items() if not isinstance(run, list)}
    for round_ in track(
        range(-bench.warmup, rounds) if to_run else (), f'{bench.name:14}', transient=True
    ):
        for name, run in to_run.items():
            start = time.perf_counter()
            items = run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
            if round_ >= 0:
                values[name].append(_value(bench.unit, seconds, items))
    threads = torch.get_num_threads()
    torch.set_num_threads(before)
    data = ', '.join(_data_name(getattr(options, need)) for need in bench.needs if need != 'gpu')
    result = Result(bench.title, bench.unit, threads, str(date.today()), data, values)
    result.targets = [_judge(target, values) for target in bench.targets]
    return result


def _data_name(folder: str) -> str:
    path = Path(folder)
    return f'{path.parent.name}/{path.name}' if path.name in ('train', 'val') else path.name


def _value(unit: str, seconds: float, items: int | float | None) -> float:
    if unit == 'MiB':
        return float(items or 0)
    if unit == '%' or (unit.endswith('/s') and items is None):  # a list of values
        return seconds
    if unit.endswith('/s'):
        return (items or 0) / seconds
    return seconds * (1000 if unit == 'ms' else 1)


def _judge(target: Target, values: dict[str, list[float]]) -> dict:
    ratio = float(np.median(values[target.variant]) / np.median(values[target.reference]))
    met = ratio <= target.limit if target.at_most else ratio >= target.limit
    return dict(
        variant=target.variant,
        reference=target.reference,
        ratio=round(ratio, 3),
        limit=target.limit,
        at_most=target.at_most,
        met=met,
    )


def describe_machine() -> dict[str, Any]:
    """Return the processor, the GPU and the versions of the packages that matter."""
    packages = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        processor=_processor(),
        cores=torch.get_num_threads(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        gpu=gpu,
        system=f'{platform.system()} {platform.machine()}',
        packages=packages,
    )


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def in_new_process(code: str, *args: str) -> str:
    """Run Python code in a new process and return the last line that it prints.

    Args:
        code: Code.
        *args: Its ``sys.argv[1:]``.
    """
    done = subprocess.run([sys.executable, '-c', code, *args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.rstrip().rpartition('\n')[2]
