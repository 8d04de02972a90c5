import json

import pytest
from conftest import ROOT

from mmrot.study import draw_figures, read_records, write_page
from mmrot.study.records import write_record


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
        config_sha256='0',
        date='2026-01-01',
    )


def test_the_page_is_that_of_the_records():
    """docs/reproduction.md cannot drift: tools/reproduce_cifar10.sh --page-only writes it."""
    records = read_records(ROOT / 'results/cifar10')
    page = (ROOT / 'docs/reproduction.md').read_text(encoding='utf-8')
    assert page == write_page(records)


def test_records_are_kept_one_a_cell(tmp_path):
    first, second = record(), record(seed=1, value=91.0)
    path = write_record(tmp_path, first)
    assert path == tmp_path / 'cifar10/table3-RotNet-conv-accuracy_seed0.json'
    write_record(tmp_path, second)
    write_record(tmp_path, first)  # again
    assert read_records(tmp_path) == [first, second]
    assert read_records(tmp_path / 'nowhere') == []
    with pytest.raises(ValueError, match='record without config_sha256, date'):
        write_record(
            tmp_path, {k: v for k, v in first.items() if not k.startswith(('con', 'date'))}
        )
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
    assert any(
        '2.00 points better than RotNet + conv on cifar10; published: 1.64' in x for x in lines
    )
    assert not any('Reduced' in line for line in lines)


def test_a_reduced_study_says_so():
    small = dict(name='cifar10-budget0.1', budget=0.1)
    page = write_page([record(**small)])
    full, reduced = page.split('## Reduced: cifar10-budget0.1')
    assert 'Not run yet.' in full
    assert '| RotNet + conv | accuracy | 91.16 | not run |  |' in full
    assert '0.1 of its epochs, NIN of width 192' in reduced
    assert '| RotNet + conv | accuracy | 91.16 | 90.00 (n=1) |' in reduced.splitlines()
    assert 'not run' not in reduced


def test_figures(tmp_path, monkeypatch):
    """5a has the supervised network as a line; a curve needs two points."""
    drawn = {}

    def keep(self, path, **_):
        drawn[path.stem] = {
            line.get_label(): line.get_xydata().tolist() for line in self.axes[0].get_lines()
        }
        drawn[path.stem] |= {c.get_label(): None for c in self.axes[0].containers}

    points = [record('figure5b', 'supervised', str(k), v) for k, v in ((20, 50.0), (400, 60.0))]
    points += [record('figure5a', 'object recognition', e, 70.0) for e in ('20', '100')]
    points.append(record('figure5a', 'rotation prediction', '20', 90.0))
    assert draw_figures(points[:1], tmp_path / 'none') == []
    written = draw_figures([*points, record(row='supervised NIN', value=93.0)], tmp_path)
    assert written == [tmp_path / 'figure5a.png', tmp_path / 'figure5b.png']
    assert written[0].read_bytes().startswith(b'\x89PNG')
    monkeypatch.setattr('matplotlib.figure.Figure.savefig', keep)
    draw_figures([*points, record(row='supervised NIN', value=93.0)], tmp_path)
    assert [[20, 50], [400, 60]] in drawn['figure5b'].values()
    assert drawn['figure5a']['supervised NIN'] == [[0, 93], [1, 93]]
    assert [[20, 70], [100, 70]] in drawn['figure5a'].values()
    assert set(drawn['figure5a']) & {'object recognition', 'rotation prediction'} == {
        'object recognition'
    }
