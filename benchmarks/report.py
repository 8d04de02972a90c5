"""Write docs/performance.md from the results."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

PAGE = Path(__file__).parents[1] / 'docs' / 'performance.md'


def read_results(folder: Path) -> list[dict]:
    """Read the results of all machines.

    Args:
        folder: Folder with one file per machine; other files are left out.
    """
    found = [json.loads(file.read_text()) for file in sorted(folder.glob('*.json'))]
    return [results for results in found if 'machine' in results and 'benchmarks' in results]


def render(machines: list[dict]) -> str:
    """Return the page.

    Args:
        machines: Results of each machine.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(table=_table, number=_number)
    loaders = [m['benchmarks']['loader'] for m in machines if 'loader' in m['benchmarks']]
    rate = float(np.median(loaders[0]['values']['mmrot'])) if loaders else None
    return environment.get_template('performance.md.jinja').render(machines=machines, rate=rate)


def _number(value: float) -> str:
    """Format with three significant digits, without an exponent."""
    if value >= 1000:
        return f'{value:,.0f}'
    return f'{value:.3g}' if value < 100 else f'{value:.0f}'


def _table(result: dict[str, Any]) -> str:
    """Return a table of medians and quartiles, each relative to the first variant."""
    unit = result['unit']
    lines = [f'| {unit} | median | quartiles | relative to the first |', '|---|---|---|---|']
    first = np.median(next(iter(result['values'].values())))
    for name, values in result['values'].items():
        low, middle, high = (float(np.percentile(values, share)) for share in (25, 50, 75))
        lines.append(
            f'| {name} | {_number(middle)} | {_number(low)}–{_number(high)} | '
            f'{middle / first:.2f} |'
        )
    return '\n'.join(lines)
