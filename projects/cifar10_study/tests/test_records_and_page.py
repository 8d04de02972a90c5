import json

import pytest
from helpers import ROOT
from PIL import Image

from projects.cifar10_study import FIGURES, draw_figures, read_records, write_page
from projects.cifar10_study.records import write_record


def record(table='table3', row='RotNet + conv', column='accuracy', value=90.0, seed=0, **settings):
    return dict(
        table=table,
        row=row,
        column=column,
        value=value,
        seed=seed,
        settings={
            'name': 'cifar10',
            'data': 'cifar10',
            'budget': 1.0,
            'width': 192,
            'images_per_class': None,
            **settings,
        },
        data='CIFAR10',
        data_sha256='0',
        training_images=10 * (settings.get('images_per_class') or 5000),
        images=10000,
        config_sha256='0',
        date='2026-01-01',
        epochs=100,
        seconds=60,
        machine='Linux',
        versions={},
        command='tools/reproduce_cifar10.sh',
    )


def test_the_page_is_that_of_the_records(tmp_path):
    """Neither can drift: tools/reproduce_cifar10.sh --page-only writes both."""
    records = read_records(ROOT / 'results/cifar10')
    page = (ROOT / 'docs/reproduction.md').read_text(encoding='utf-8')
    assert page == write_page(records)
    for name in {record['settings']['name'] for record in records}:
        found = [record for record in records if record['settings']['name'] == name]
        drawn = draw_figures(found, tmp_path)
        shown = [path.name for path in drawn if f'/{name}/{path.name}' in page]
        assert shown == [path.name for path in drawn]
        for path in drawn:
            kept = Image.open(ROOT / 'docs' / FIGURES / name / path.name)
            assert kept.text['Description'] == Image.open(path).text['Description']


def test_records_are_kept_one_a_cell(tmp_path):
    first, second = record(), record(seed=1, value=91.0)
    path = write_record(tmp_path, first)
    assert path == tmp_path / 'cifar10/table3-RotNet-conv-accuracy_seed0.json'
    write_record(tmp_path, second)
    write_record(tmp_path, first)  # again
    assert read_records(tmp_path) == [first, second]
    assert read_records(tmp_path / 'nowhere') == []
    with pytest.raises(ValueError, match='record without config_sha256'):
        write_record(tmp_path, {k: v for k, v in first.items() if k != 'config_sha256'})
    (tmp_path / 'bad.json').write_text(json.dumps({'value': 1}))
    with pytest.raises(ValueError, match=r'bad\.json: expected a record with column'):
        read_records(tmp_path)


def test_cells_of_the_page():
    records = [
        record(value=90.0),
        record(seed=1, value=92.0),
        record(row='supervised NIN', value=93.0),
        record('figure5b', 'supervised', '20', 40.5),
    ]
    lines = write_page(records).splitlines()
    # 92.00 - 90.00 is two, over one degree of freedom the deviation is the root of two
    assert '| RotNet + conv | accuracy | 91.16 | 91.00 ± 1.41 (n=2) | -0.16 |' in lines
    assert '| supervised NIN | accuracy | 92.8 | 93.00 (n=1) | +0.20 |' in lines
    assert '| RotNet, 4 blocks | conv2 | 89.06 | not run |  |' in lines
    assert '| supervised | 20 | – | 40.50 (n=1) |  |' in lines
    assert '| semi-supervised | 20 | – | not run |  |' in lines
    # of seed 0 alone, which both have
    gap = (
        'Supervised NIN minus RotNet + conv: 3.00 (n=1) points on cifar10; published: 1.64 points.'
    )
    assert gap in lines
    assert not any('Reduced' in line for line in lines)


def test_a_reduced_study_says_so():
    small = dict(name='cifar10-budget0.1', budget=0.1)
    page = write_page([record(**small)])
    full, reduced = page.split('## Reduced: cifar10-budget0.1')
    assert 'Not run yet.' in full
    assert '| RotNet + conv | accuracy | 91.16 | not run |  |' in full
    assert "paper's: 0.1 of its epochs, rounded, 50000 training and 10000 test images." in reduced
    assert '| RotNet + conv | accuracy | 91.16 | 90.00 (n=1) |' in reduced.splitlines()
    assert 'not run' not in reduced


def test_few_images_are_no_study_of_the_papers_size():
    page = write_page([dict(record(), images=60)])
    assert 'Not run yet.' in page
    assert '50000 training and 60 test images' in page


def test_records_of_different_experiments_are_not_averaged():
    records = [record(), record(seed=1)]
    records[1]['config_sha256'] = '1'
    with pytest.raises(
        ValueError, match=r'cifar10: records of table3, RotNet \+ conv, accuracy are of different'
    ):
        write_page(records)


def test_figures(tmp_path):
    """5a has the supervised network as a line; a curve needs two points."""
    points = [
        record('figure5b', 'supervised', '20', v, seed) for seed, v in ((0, 50.0), (1, 52.0))
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
