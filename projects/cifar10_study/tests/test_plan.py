import pytest

from mmrot.results import published_table
from projects.cifar10_study import EVALUATIONS, PRETRAININGS, Settings, select


def test_every_published_cell_is_filled_once():
    cells = [cell for evaluation in EVALUATIONS for cell in evaluation.cells]
    assert len(cells) == len(set(cells))
    wanted = {
        (name, row, column)
        for name in ('table1', 'table2', 'table3', 'table9', 'figure5a', 'figure5b')
        for row, values in published_table(name)['rows'].items()
        for column, value in zip(published_table(name)['columns'], values, strict=True)
        if value is not None or name.startswith('figure')
    }
    others = {('table3', row, 'accuracy') for row in ('Roto-Scat + SVM', 'Exemplar CNN', 'DCGAN')}
    others.add(('table3', 'Scattering', 'accuracy'))  # other methods
    assert wanted - set(cells) == others
    ours = set(cells) - wanted
    assert {row for _, row, _ in ours} == {'random, 4 blocks'}


def test_pretrainings_that_are_asked_for_exist():
    asked = {evaluation.pretraining for evaluation in EVALUATIONS}
    assert asked == {*PRETRAININGS, 'random'}
    assert len({evaluation.name for evaluation in EVALUATIONS}) == len(EVALUATIONS)


def test_selection():
    assert select() == list(EVALUATIONS)
    assert [run.name for run in select(['table3'])] == [
        'conv',
        'supervised',
        'nonlinear_nin4',
        'conv_random',
        'conv_finetuned',
        'nonlinear_finetuned',
    ]
    assert [run.name for run in select(cells=['table3/RotNet + conv'])] == ['conv']
    assert [run.name for run in select(cells=['figure5b/super*/20'])] == ['subset_20']
    with pytest.raises(ValueError, match='--only table4: expected table3, table9'):
        select(['table4'])
    with pytest.raises(ValueError, match=r'--cells table1/none/\*: none of table3/RotNet'):
        select(cells=['table3/super*', 'table1/none'])


def test_settings():
    full = Settings('data/cifar10')
    assert (full.name, full.reduced, full.epochs(100)) == ('cifar10', {}, 100)
    assert Settings('a', 0.1234561).name != Settings('a', 0.1234564).name
    small = Settings('a/cifar10_jpeg', 0.05, 48, 500)
    assert small.name == 'cifar10_jpeg-budget0.05-width48-500perclass'
    assert small.reduced == {'budget': 0.05, 'width': 48, 'images_per_class': 500}
    assert [small.epochs(n) for n in (100, 50, 5)] == [5, 2, 1]
    for kwargs, message in (
        ({'budget': 0}, '--budget 0: expected above 0'),
        ({'budget': 2}, '--budget 2: expected'),
        ({'images_per_class': 0}, '--images-per-class 0: expected 1 or more'),
        ({'width': 50}, '--width 50: expected a multiple of 12'),
    ):
        with pytest.raises(ValueError, match=message):
            Settings('data', **kwargs)
