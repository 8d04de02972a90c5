import json
import re

import pytest
from helpers import ROOT
from PIL import Image

from mmrot.results import Record
from projects.cifar10_study import (
    FIGURES,
    draw_figures,
    settings_of,
    study_records,
    write_page,
)
from projects.cifar10_study.records import add_records


def record(table='table3', row='RotNet + conv', column='accuracy', value=90.0, seed=0, **kwargs):
    fields = dict(
        table=table,
        row=row,
        values={column: value},
        seed=seed,
        settings={'data': 'cifar10'},
        data='CIFAR10',
        training_images=50000,
        images=10000,
        config_sha256='0',
    )
    return Record(**{**fields, **kwargs})


def rows(page: str) -> list[list[str]]:
    """Cells of all tables of a page."""
    lines = [line for line in page.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]


def numbers(figure):
    """The numbers of a figure; versions of Python differ in the last digit of a mean."""
    return [float(text) for text in re.findall(r'-?\d+\.?\d*', figure.text['Description'])]


def test_page_and_figures_match_the_records(tmp_path):
    """tools/reproduce_cifar10.sh --page-only writes both."""
    records = study_records(ROOT / 'projects/cifar10_study/records.jsonl')
    page = (ROOT / 'docs/reproduction.md').read_text(encoding='utf-8')
    assert page == write_page(records)
    for name in {settings_of(record).name for record in records}:
        found = [record for record in records if settings_of(record).name == name]
        drawn = draw_figures(found, tmp_path)
        shown = [path.name for path in drawn if f'/{name}/{path.name}' in page]
        assert shown == [path.name for path in drawn]
        for path in drawn:
            kept = Image.open(ROOT / 'docs' / FIGURES / name / path.name)
            assert numbers(kept) == pytest.approx(numbers(Image.open(path)), rel=1e-9)


def test_add_records_adds_each_cell_once(tmp_path):
    path = tmp_path / 'new/records.jsonl'
    assert study_records(path) == []
    first, second = record(), record(seed=1, value=91.0)
    add_records([first], path)
    add_records([first, second], path)
    assert study_records(path) == [first, second]


def test_page_compares_measured_and_published_cells():
    page = write_page(
        [
            record(value=90.0),
            record(seed=1, value=92.0),
            record(row='supervised NIN', value=93.0),
            record('figure5b', 'supervised', '20', 40.5),
        ]
    )
    cells = rows(page)
    assert ['RotNet + conv', '91.16', '91.00 ± 1.41 (n=2)', '-0.16'] in cells  # √2
    assert ['supervised NIN', '92.80', '93.00', '+0.20'] in cells
    assert ['supervised', '40.50'] in cells
    assert len(cells) == 7  # nothing that was not measured
    assert '3.00 points; published: 1.64 points' in page  # of seed 0, which both have
    assert 'Reduced' not in page


def test_page_separates_a_reduced_study():
    page = write_page([record(settings={'data': 'cifar10', 'budget': 0.1})])
    reduced, full = page.split('## At the size of the paper')
    assert 'Reduced: 50,000 CIFAR-10 images' in reduced
    assert '10 % of the epochs, 50,000 training and 10,000 test images' in reduced
    assert ['RotNet + conv', '91.16', '90.00'] in rows(reduced)
    assert 'Not measured yet.' in full


def test_page_treats_few_test_images_as_reduced():
    page = write_page([record(images=60)])
    assert 'Not measured yet.' in page
    assert '50,000 training and 60 test images' in page


def test_page_does_not_average_different_experiments():
    records = [record(), record(seed=1, config_sha256='1')]
    with pytest.raises(ValueError, match=r'table3, RotNet \+ conv, accuracy: cannot average'):
        write_page(records)


def test_figures_have_curves_of_two_points(tmp_path):
    """Figure 5a shows the supervised network as a line."""
    points = [
        record('figure5b', 'supervised', '20', value, seed)
        for seed, value in ((0, 50.0), (1, 52.0))
    ]
    assert draw_figures(points, tmp_path / 'none') == []
    points.append(record('figure5b', 'supervised', '400', 60.0))
    points += [record('figure5a', 'object recognition', e, 70.0) for e in ('20', '100')]
    points.append(record('figure5a', 'rotation prediction', '20', 90.0))
    written = draw_figures([*points, record(row='supervised NIN', value=93.0)], tmp_path)
    assert written == [tmp_path / 'figure5a.png', tmp_path / 'figure5b.png']
    first, second = (json.loads(Image.open(path).text['Description']) for path in written)
    assert first == {
        'object recognition': [[20, 70, 0], [100, 70, 0]],
        'supervised NIN': [[epoch, 93, 0] for epoch in (20, 40, 60, 80, 100)],
    }
    assert second == {'supervised': [[20, 51, pytest.approx(2**0.5)], [400, 60, 0]]}
