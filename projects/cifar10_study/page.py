import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmrot.results import published_table

from .plan import EVALUATIONS, LABELS, SNAPSHOTS
from .records import group

NOT_PUBLISHED, NOT_RUN = '–', 'not run'
# As in the paper's figures.
_COLORS = {
    'rotation prediction': 'tab:blue',
    'object recognition': 'tab:orange',
    'semi-supervised': 'tab:blue',
    'supervised': 'tab:red',
    'supervised NIN': 'tab:red',
}
TABLES = ('table1', 'table2', 'table3', 'table9', 'figure5a', 'figure5b')
_HEAD = """# The CIFAR-10 study

Tables 1, 2, 3 and 9 and figures 5a and 5b of the paper, by

    tools/reproduce_cifar10.sh --data data/cifar10 --seeds 0 1 2

`--data` holds CIFAR-10 in its python form, or images in `{train,test}/<class>/`. The same command
goes on where it stopped. What has a record is not run again: to repeat it, name another folder by
`--records` and `--work-dir`. `--only table3` and `--cells 'table3/RotNet*'` choose cells,
`--list` names them. `--budget` (a fraction of the epochs), `--width` and `--images-per-class` make
a smaller study, which says so and has a section of its own.

This page is written from the records in `results/cifar10/`, one file for each cell and seed, by
`tools/reproduce_cifar10.sh --page-only`; a test fails where the two differ. Measured: mean ±
sample standard deviation over n seeds, of the last epoch, top-1 accuracy in percent on the test
images of the data that is named. Forward passes of training are in bfloat16. Records of a cell are
of one config, seed apart, and of the same images. Which images are the K of a class depends on the
seed.

Where the paper says nothing, the authors' code is followed: Nesterov momentum, and the schedules
of the classifiers (50 epochs, divided by 5 after 20, 40 and 45; convolutional ones 100, after 35,
70 and 85). Fine-tuning begins with their learning rate.
"""
# Folder of the figures, beside the page.
FIGURES = 'images/cifar10'


def write_page(records: Sequence[dict[str, Any]]) -> str:
    """Write the page of the study from its records.

    Args:
        records (Sequence[dict]): Of any settings, see :func:`read_records`.

    Returns:
        str: Markdown. Every published cell has a line, with what was measured at
        the paper's size; smaller studies follow, each on its own.
    """
    full = [record for record in records if _is_full(record)]
    parts = [_HEAD, '## At the size of the paper', '']
    by_data: dict[str, list[dict]] = {}
    for record in full:
        by_data.setdefault(record['settings']['data'], []).append(record)
    if not by_data:
        parts += ['Not run yet.', '']
    for data, found in by_data.items() or {'CIFAR-10': []}.items():
        parts += _section(data, found)
    reduced: dict[str, list[dict]] = {}
    for record in records:
        if not _is_full(record):
            reduced.setdefault(record['settings']['name'], []).append(record)
    for name, found in sorted(reduced.items()):
        parts += [f'## Reduced: {name}', '', _describe(found[0]), '']
        parts += _section(found[0]['settings']['data'], found)
    return '\n'.join(parts).rstrip() + '\n'


def _is_full(record: dict[str, Any]) -> bool:
    s = record['settings']
    images = (record['training_images'], record['images'])
    return s['budget'] == 1 and s['width'] == 192 and images == (50000, 10000)


def _describe(record: dict[str, Any]) -> str:
    s = record['settings']
    smaller = [f'{s["budget"]} of its epochs, rounded'] * (s['budget'] != 1)
    smaller += [f'NIN of width {s["width"]} in place of 192'] * (s['width'] != 192)
    smaller += [f'{record["training_images"]} training and {record["images"]} test images']
    text = (
        f"Smaller than the paper's: {', '.join(smaller)}. Too small to be compared with the "
        'published numbers: no difference is given.'
    )
    if s['budget'] != 1:
        second = max(1, round(20 * s['budget']))
        text += f' Figure 5a: epoch 20 of the paper is here epoch {second}, and so on.'
    return text


def _section(data: str, records: Sequence[dict[str, Any]]) -> list[str]:
    """One table of cells for each of the paper's."""
    cells = group(records)
    full = not records or _is_full(records[0])
    lines = []
    for name in TABLES:
        table = published_table(name)
        rows = list(table['rows'])
        rows += [row for t, row, _ in cells if t == name and row not in rows]
        found = [cell for cell in cells if cell[0] == name]
        if not full and not found:
            continue
        header = ['', '', 'published', f'measured on {data}'] + ['difference'] * full
        lines += [f'### {table["title"]} ({table["source"]})', '']
        lines += [_line(header), _line(['---'] * len(header))]
        for row in dict.fromkeys(rows):
            published = dict(zip(table['columns'], table['rows'].get(row, []), strict=False))
            for column in table['columns']:
                values = [r['value'] for r in cells.get((name, row, column), [])]
                number = published.get(column)
                if number is None and not values and not _planned(name, row, column):
                    continue
                if not full and not values:
                    continue
                line = [row, column, NOT_PUBLISHED if number is None else f'{number:g}']
                line.append(_measured(values))
                if full:
                    difference = ''
                    if number is not None and values:
                        difference = f'{np.mean(values) - number:+.2f}'
                    line.append(difference)
                lines.append(_line(line))
        lines.append('')
        if name in LAYOUTS and _points(name, cells):
            path = f'{FIGURES}/{records[0]["settings"]["name"]}/{name}.png'
            lines += [f'![{table["title"]}]({path})', '']
    if records:
        lines += _gap(cells, data)
    return lines


def _planned(*cell: str) -> bool:
    return any(cell in evaluation.cells for evaluation in EVALUATIONS)


def _measured(values: Sequence[float]) -> str:
    if not values:
        return NOT_RUN
    spread = f' ± {np.std(values, ddof=1):.2f}' if len(values) > 1 else ''
    return f'{np.mean(values):.2f}{spread} (n={len(values)})'


def _gap(cells: dict, data: str) -> list[str]:
    """Compare RotNet + conv with the supervised network on the same images, seed by seed."""
    names = ('supervised NIN', 'RotNet + conv')
    first, second = (
        {r['seed']: r['value'] for r in cells.get(('table3', name, 'accuracy'), [])}
        for name in names
    )
    gaps = [first[seed] - second[seed] for seed in sorted(set(first) & set(second))]
    if not gaps:
        return []
    rows = published_table('table3')['rows']
    published = rows[names[0]][0] - rows[names[1]][0]
    return [
        f'Supervised NIN minus RotNet + conv: {_measured(gaps)} points on {data}; published: '
        f'{published:.2f} points.',
        '',
    ]


def _line(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'


# Figure → where its columns are, what they are, the kind of axis.
LAYOUTS = {
    'figure5a': (SNAPSHOTS, 'epochs of pretraining', 'linear'),
    'figure5b': (LABELS, 'training images per class', 'log'),
}


def _points(name: str, cells: dict) -> dict[str, list[tuple[int, float, float]]]:
    """Give the curves of a figure that have two points: (place, mean, deviation) of each."""
    curves = {}
    for row in published_table(name)['rows']:
        values = {
            c: [r['value'] for r in cells.get((name, row, str(c)), [])] for c in LAYOUTS[name][0]
        }
        points = [
            (c, float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else 0.0)
            for c, v in values.items()
            if v
        ]
        if len(points) > 1:
            curves[row] = points
    supervised = [r['value'] for r in cells.get(('table3', 'supervised NIN', 'accuracy'), [])]
    if name == 'figure5a' and curves and supervised:  # it knows no epochs of pretraining
        curves['supervised NIN'] = [(c, float(np.mean(supervised)), 0.0) for c in SNAPSHOTS]
    return curves


def draw_figures(records: Sequence[dict[str, Any]], folder: str | Path) -> list[Path]:
    """Draw figures 5a and 5b from records of one study, in the paper's layout.

    Args:
        records (Sequence[dict]): Of one data set and size.
        folder (str | Path): Where ``figure5a.png`` and ``figure5b.png`` go. Each
            holds the points that it shows, as JSON, in its ``Description``.

    Returns:
        list[Path]: What was drawn: a figure needs two points of a curve.
    """
    # Figure, not pyplot: nothing of a window or of another user's figures
    from matplotlib.figure import Figure

    cells = group(records)
    drawn = []
    for name, (columns, label, scale) in LAYOUTS.items():
        curves = _points(name, cells)
        if not curves:
            continue
        figure = Figure(figsize=(5.6, 3.8), layout='constrained')
        axes = figure.add_subplot()
        for row, points in curves.items():
            places, means, spread = zip(*points, strict=True)
            flat = row == 'supervised NIN'
            axes.errorbar(
                places,
                means,
                yerr=None if flat else spread,
                marker='' if flat else 'o',
                capsize=3,
                label=row,
                color=_COLORS[row],
            )
        budget = records[0]['settings']['budget']
        if name == 'figure5a' and budget != 1:
            label = f'epochs of pretraining, divided by {budget}'
        axes.set(xlabel=label, ylabel='accuracy, %', xscale=scale, xticks=columns)
        axes.set_xticks([], minor=True)
        axes.set_xticklabels(map(str, columns))
        axes.grid(alpha=0.3)
        axes.legend()
        settings = records[0]['settings']['name']
        axes.set_title(f'{published_table(name)["title"]}\nmeasured on {settings}', fontsize=8)
        path = Path(folder, f'{name}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, metadata={'Description': json.dumps(curves)})
        drawn.append(path)
    return drawn
