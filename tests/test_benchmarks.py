"""Modules of benchmarks/, which are not part of the package."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmrot.errors import UserError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'benchmarks'))
import report  # noqa: E402
import run  # noqa: E402
import timing  # noqa: E402

OPTIONS = SimpleNamespace(rounds=None)


def test_performance_page_is_written_from_the_results():
    machines = report.read_results(ROOT / 'benchmarks' / 'results')
    assert report.PAGE.read_text() == report.render(machines)


def test_variants_take_turns(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: next(clock))
    calls = []

    def variants(options):
        return {name: lambda name=name: calls.append(name) or 50 for name in 'ab'}

    bench = timing.Benchmark('x', 'X', variants, unit='images/s', rounds=2, warmup=1)
    result = timing.measure(bench, OPTIONS)
    assert ''.join(calls) == 'ababab'
    assert result.values == {'a': [50, 50], 'b': [50, 50]}  # 50 images in one second


@pytest.mark.parametrize(
    ('unit', 'expected'), [('s', 0.5), ('ms', 500), ('images/s', 0.5), ('%', 0.5)]
)
def test_values_that_a_benchmark_lists_are_kept(unit, expected):
    bench = timing.Benchmark('x', 'X', lambda options: {'a': [0.5, 0.5]}, unit=unit)
    assert timing.measure(bench, OPTIONS).values == {'a': [expected] * 2}


@pytest.mark.parametrize(
    ('limit', 'at_most', 'met'),
    [(1.5, True, True), (1.4, True, False), (1.4, False, True), (1.6, False, False)],
)
def test_target_compares_medians(limit, at_most, met):
    target = timing.Target('b', 'a', limit, at_most)
    bench = timing.Benchmark(
        'x', 'X', lambda options: {'a': [2, 2, 9], 'b': [3, 1, 3]}, unit='s', targets=(target,)
    )
    (judged,) = timing.measure(bench, OPTIONS).targets
    assert judged['ratio'] == 1.5
    assert judged['met'] is met


def test_table_shows_median_quartiles_and_ratio():
    table = report._table(dict(unit='ms', values={'a': [1, 2, 3, 4, 5], 'b': [4000.0] * 3}))
    assert table.splitlines()[2:] == [
        '| a | 3 | 2–4 | 1.00 |',
        '| b | 4,000 | 4,000–4,000 | 1333.33 |',
    ]


def test_results_of_other_versions_are_kept_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(run, 'RESULTS', tmp_path)
    machine = dict(gpu=None, processor='A', cores=2, packages=dict(torch='1'))
    monkeypatch.setattr(run, 'describe_machine', lambda: machine)
    (tmp_path / 'a-2-cores.json').write_text(
        json.dumps(dict(machine={**machine, 'packages': dict(torch='2')}, benchmarks={}))
    )
    options = SimpleNamespace(names=['preprocessor_small'], photos=None, small_photos=None)
    with pytest.raises(UserError, match='results of other versions'):
        run.run(options)
    with pytest.raises(UserError, match='loader needs --photos'):
        run.run(SimpleNamespace(names=['preprocessor_small', 'loader'], photos=None))
