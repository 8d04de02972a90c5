from collections.abc import Sequence
from textwrap import wrap

from mmrot.results import Record, ResultTable, format_mean, published_table

from .figures import curves
from .records import describe_images, settings_of

_TABLES = ('table1', 'table2', 'table3', 'table9', 'figure5a', 'figure5b')
# Folder of the figures, relative to the page.
FIGURES = 'images/cifar10'
_HEAD = """# The CIFAR-10 study

Tables 1, 2, 3 and 9 and Figures 5a and 5b of the paper, measured with mmrot: top-1 accuracy in
percent on the test images after the last epoch, mean ± sample standard deviation over n seeds.
"""
_NOT_MEASURED = """## At the size of the paper

Not measured yet.
"""
_NOTES = """## Protocol

- Runs that are averaged use the same images and, apart from the seed, the same config. The seed
  also determines which K images per class are labelled in Figure 5b.
- The forward passes of training are in bfloat16.
- Where the paper gives no details, the authors' code is followed: Nesterov momentum; classifiers
  trained for 100 epochs with the learning rate divided by 5 after 20, 40 and 45 (convolutional
  ones: after 35, 70 and 85); supervised networks trained for 200 epochs, with the learning rate
  divided by 5 after 60, 120 and 160. Fine-tuning starts with the same learning rate.
- RotNets are pretrained on images in folders with resized crops of random aspect ratios, which
  [hide the traces of JPEG compression](shortcuts.md#the-remedy), and on CIFAR-10's own files with
  the paper's padded crops. Classifiers use padded crops. [`mmrot shortcut`](shortcuts.md) finds no
  use of these traces by the RotNets of the reduced study: their axis accuracies on pre-rotated
  photos of quality 75 are 50.5 and 49.9 %.
- The weights of non-linear classifiers are drawn from N(0, 2 / 10), as in the authors' code, and
  the few epochs of the reduced study do not undo such large initial logits. With N(0, 2 / 1000)
  (`model.head.init_num_classes=1000`), RotNet + non-linear reaches 53.7 % instead of 51.4 %, and
  59.3 % instead of 48.7 % when it is fine-tuned (seed 0).

## Commands

    tools/reproduce_cifar10.sh --data data/cifar10 --seeds 0 1 2

This measures everything at the scale of the paper. `--budget`, `--width` and `--images-per-class`
reduce the study; `--only table3` and `--cells 'table3/RotNet*'` select parts of it. The numbers
are stored in `projects/cifar10_study/records.jsonl`, from which
`tools/reproduce_cifar10.sh --page-only` generates this page.
See the [README of the study](../projects/cifar10_study/README.md).
"""


def write_page(records: Sequence[Record]) -> str:
    """Return the page in Markdown, with one section per study, full-size ones first."""
    studies: dict[str, list[Record]] = {}
    for record in records:
        studies.setdefault(settings_of(record).name, []).append(record)
    full = [found for found in studies.values() if _is_full(found[0])]
    reduced = [found for _, found in sorted(studies.items()) if not _is_full(found[0])]
    parts = [_HEAD]
    for found in full:
        parts += [f'## At the size of the paper, {describe_images(found[0])}\n', *_section(found)]
    for found in reduced:
        parts += [f'## Reduced: {describe_images(found[0])}\n', _describe(found[0])]
        parts += _section(found)
    if not full:
        parts.append(_NOT_MEASURED)
    return '\n'.join([*parts, _NOTES])


def _is_full(record: Record) -> bool:
    settings = settings_of(record)
    images = (record.training_images, record.images)
    return (settings.budget, settings.width, *images) == (1, 192, 50000, 10000)


def _describe(record: Record) -> str:
    """Describe how a study is reduced and how it was run."""
    settings = settings_of(record)
    smaller = [f'NIN of width {settings.width} instead of 192'] * (settings.width != 192)
    smaller += [f'{100 * settings.budget:.4g} % of the epochs'] * (settings.budget != 1)
    smaller += [f'{record.training_images:,} training and {record.images:,} test images']
    text = f'{", ".join(smaller)}. These numbers are not comparable with the published ones.'
    if settings.budget != 1:
        text += (
            f' Epoch 20 of Figure 5a corresponds to epoch {settings.epochs(20)} here, and so on.'
        )
    device = 'a CPU' if record.device == 'cpu' else record.device
    command = str(record.command).partition(' --seeds')[0]
    return '\n'.join(
        [
            *wrap(text, 99),
            '',
            f'Measured on {device} ({record.machine}) with',
            '',
            f'    {command}',
            '',
        ]
    )


def _section(records: Sequence[Record]) -> list[str]:
    """Write the tables and figures of one study."""
    parts = []
    for name in _TABLES:
        found = [record for record in records if record.table == name]
        if not found:
            continue
        source = published_table(name)
        parts.append(f'### {source["title"]} ({source["source"]})\n')
        table = ResultTable(found, only_measured=True, difference=_is_full(records[0]))
        parts.append(table.to_markdown())
        if name.startswith('figure') and curves(name, records):
            path = f'{FIGURES}/{settings_of(records[0]).name}/{name}.png'
            parts.append(f'![{source["title"]}]({path})\n')
    return [*parts, *_gap(records)]


def _gap(records: Sequence[Record]) -> list[str]:
    """Compare the supervised network and RotNet + conv, seed by seed."""
    rows = ('supervised NIN', 'RotNet + conv')
    supervised, rotnet = (
        {r.seed: r.values['accuracy'] for r in records if (r.table, r.row) == ('table3', row)}
        for row in rows
    )
    gaps = [supervised[seed] - rotnet[seed] for seed in supervised if seed in rotnet]
    if not gaps:
        return []
    published = [published_table('table3')['rows'][row][0] for row in rows]
    return [
        f'Supervised NIN minus RotNet + conv: {format_mean(gaps)} points; published: '
        f'{published[0] - published[1]:.2f} points.\n'
    ]
