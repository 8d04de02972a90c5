import pytest

from mmrot.results import published_table
from projects.cifar10_study import CLASSIFIERS, PRETRAININGS, Settings, select


def test_plan_fills_every_published_cell_of_rotnet_once():
    cells = [cell for classifier in CLASSIFIERS for cell in classifier.cells]
    assert len(cells) == len(set(cells))
    published = {
        (name, row, column)
        for name in ('table1', 'table2', 'table3', 'table9', 'figure5a', 'figure5b')
        for row, values in published_table(name)['rows'].items()
        for column, value in zip(published_table(name)['columns'], values, strict=True)
        if value is not None or name.startswith('figure')
    }
    others = ('Roto-Scat + SVM', 'Exemplar CNN', 'DCGAN', 'Scattering')
    assert published - set(cells) == {('table3', row, 'accuracy') for row in others}
    assert {row for _, row, _ in set(cells) - published} == {'random, 4 blocks'}


def test_plan_uses_every_pretraining():
    used = {classifier.pretraining for classifier in CLASSIFIERS}
    assert used == {*PRETRAININGS, 'random'}
    assert len({classifier.name for classifier in CLASSIFIERS}) == len(CLASSIFIERS)


def test_select_by_table_and_cell():
    assert select() == list(CLASSIFIERS)
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


def test_select_rejects_what_matches_nothing():
    with pytest.raises(ValueError, match='--only table4: expected table3, table9'):
        select(['table4'])
    with pytest.raises(ValueError, match=r'--cells table1/none/\*: none of table3/RotNet'):
        select(cells=['table3/super*', 'table1/none'])


def test_settings_are_named_after_what_is_reduced():
    full = Settings('data/cifar10')
    assert (full.name, full.reduced, full.epochs(100)) == ('cifar10', {}, 100)
    assert Settings('a', 0.1234561).name != Settings('a', 0.1234564).name
    small = Settings('a/cifar10_jpeg', 0.05, 48, 500)
    assert small.name == 'cifar10_jpeg-budget0.05-width48-500perclass'
    assert small.reduced == {'budget': 0.05, 'width': 48, 'images_per_class': 500}
    assert [small.epochs(n) for n in (100, 50, 5)] == [5, 2, 1]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'budget': 0}, r'--budget 0 is not in \(0, 1\]'),
        ({'budget': 2}, '--budget 2 is not in'),
        ({'images_per_class': 0}, '--images-per-class 0 is not positive'),
        ({'width': 50}, '--width 50 is not a multiple of 12'),
    ],
)
def test_settings_out_of_range_raise(kwargs, message):
    with pytest.raises(ValueError, match=message):
        Settings('data', **kwargs)
