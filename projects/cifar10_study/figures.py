import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

from mmrot.results import Record, ResultTable, published_table

from .plan import LABELS, SNAPSHOTS
from .records import describe_images, settings_of

# Figure → the columns on the horizontal axis, its label and scale.
_AXES = {
    'figure5a': (SNAPSHOTS, 'epochs of pretraining', 'linear'),
    'figure5b': (LABELS, 'labelled images per class', 'log'),
}
# As in the paper.
_COLORS = {
    'rotation prediction': 'tab:blue',
    'object recognition': 'tab:orange',
    'semi-supervised': 'tab:blue',
    'supervised': 'tab:red',
    'supervised NIN': 'tab:red',
}


def curves(name: str, records: Sequence[Record]) -> dict[str, list[tuple[int, float, float]]]:
    """Return the curves of a figure that have at least two points.

    Returns:
        Row → (column, mean, sample standard deviation) of each point.
    """
    found = [record for record in records if record.table == name]
    if not found:
        return {}
    measured = ResultTable(found).measured
    lines = {}
    for row in published_table(name)['rows']:
        columns = [column for column in _AXES[name][0] if (row, str(column)) in measured]
        values = [measured[row, str(column)] for column in columns]
        if len(columns) > 1:
            lines[row] = [
                (column, mean(v), stdev(v) if len(v) > 1 else 0.0)
                for column, v in zip(columns, values, strict=True)
            ]
    supervised = [
        record.values['accuracy']
        for record in records
        if (record.table, record.row) == ('table3', 'supervised NIN')
    ]
    if name == 'figure5a' and lines and supervised:  # the same for all epochs of pretraining
        lines['supervised NIN'] = [(column, mean(supervised), 0.0) for column in SNAPSHOTS]
    return lines


def draw_figures(records: Sequence[Record], folder: str | Path) -> list[Path]:
    """Draw Figures 5a and 5b from the records of one study, if they have a curve.

    The ``Description`` of each PNG contains its points as JSON.
    """
    # Figure instead of pyplot, which would need a display
    from matplotlib.figure import Figure

    settings = settings_of(records[0])
    drawn = []
    for name, (columns, label, scale) in _AXES.items():
        lines = curves(name, records)
        if not lines:
            continue
        figure = Figure(figsize=(5.6, 3.8), layout='constrained')
        axes = figure.add_subplot()
        for row, points in lines.items():
            x, means, deviations = zip(*points, strict=True)
            constant = row == 'supervised NIN'
            axes.errorbar(
                x,
                means,
                yerr=None if constant else deviations,
                marker='' if constant else 'o',
                capsize=3,
                label=row,
                color=_COLORS[row],
            )
        axes.set(xlabel=label, ylabel='accuracy, %', xscale=scale, xticks=columns)
        axes.set_xticks([], minor=True)
        ticks = map(settings.epochs, columns) if name == 'figure5a' else columns
        axes.set_xticklabels(map(str, ticks))
        axes.grid(alpha=0.3)
        axes.legend()
        subtitle = f'{describe_images(records[0])}, NIN of width {settings.width}'
        axes.set_title(f'{published_table(name)["title"]}\n{subtitle}', fontsize=8)
        path = Path(folder, f'{name}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, metadata={'Description': json.dumps(lines)})
        drawn.append(path)
    return drawn
