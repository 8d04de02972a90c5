"""Run benchmarks, and write docs/performance.md.

    python benchmarks/run.py --list
    python benchmarks/run.py --photos PHOTOS --small-photos SMALL_PHOTOS
    python benchmarks/run.py step_nin48 preprocessor

Each result is saved to benchmarks/results/<machine>.json as soon as it is measured. Leave the
machine otherwise idle.
"""

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

import features  # noqa: F401 - registers benchmarks, as do the next
import gpu  # noqa: F401
import loading  # noqa: F401
import memory  # noqa: F401
import peers  # noqa: F401
import precision  # noqa: F401
import preprocessor  # noqa: F401
import probes  # noqa: F401
import scaling  # noqa: F401
import startup  # noqa: F401
import step  # noqa: F401
import torch
from report import PAGE, read_results, render
from timing import REGISTRY, Benchmark, describe_machine, measure

from mmrot.cli.errors import report_errors
from mmrot.cli.parser import positive
from mmrot.errors import UserError
from mmrot.files import write_atomically

RESULTS = Path(__file__).parent / 'results'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('names', nargs='*', metavar='NAME', help='benchmarks (default: all)')
    parser.add_argument('--list', action='store_true', help='list the benchmarks')
    parser.add_argument('--photos', metavar='DIR', help='photos of about 500×375 pixels')
    parser.add_argument('--small-photos', metavar='DIR', help='photos of 32×32 pixels')
    parser.add_argument('--rounds', type=positive, help='timed runs of each variant')
    parser.add_argument('--report', action='store_true', help='only rebuild docs/performance.md')
    args = parser.parse_args()
    with report_errors():
        if args.list:
            for bench in REGISTRY.values():
                print(f'{bench.name:20} {bench.title}')
        elif args.report:
            write_atomically(PAGE, render(read_results(RESULTS)))
        else:
            run(args)


def run(args: argparse.Namespace) -> None:
    """Run benchmarks and store their results."""
    if unknown := set(args.names) - REGISTRY.keys():
        raise UserError(f'unknown benchmark {min(unknown)!r}. See --list.')
    names = []
    for name in args.names or REGISTRY:
        if not (missing := _missing(REGISTRY[name], args)):
            names.append(name)
        elif args.names:
            raise UserError(f'{name} needs {missing}.')
        else:
            print(f'{name}: skipped, needs {missing}')
    machine = describe_machine()
    file = RESULTS / f'{_slug(machine)}.json'
    results = json.loads(file.read_text()) if file.exists() else dict(benchmarks={})
    if results.setdefault('machine', machine) != machine:
        raise UserError(f'{file} has results of other versions or settings. Move it away.')
    for name in names:
        result = measure(REGISTRY[name], args)
        results['benchmarks'][name] = asdict(result)
        write_atomically(file, json.dumps(results, indent=1, ensure_ascii=False) + '\n')
        for target in result.targets:
            print(f'{name}: {target}')
    write_atomically(PAGE, render(read_results(RESULTS)))


def _missing(bench: Benchmark, args: argparse.Namespace) -> str:
    for need in bench.needs:
        if need == 'gpu':
            if not torch.cuda.is_available():
                return 'a GPU'
        elif getattr(args, need) is None:
            return f'--{need.replace("_", "-")}'
    return ''


def _slug(machine: dict) -> str:
    parts = f'{machine["gpu"] or machine["processor"]} {machine["cores"]} cores'
    return re.sub(r'[^a-z0-9]+', '-', parts.lower()).strip('-')


if __name__ == '__main__':
    main()
