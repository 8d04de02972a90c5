import pytest

from mmrot.results import (
    Record,
    ResultTable,
    format_mean,
    print_tables,
    published_table,
    result_tables,
    write_results,
)


def record(**kwargs) -> Record:
    fields = dict(
        table='table4',
        row='RotNet',
        values={'conv4': 40.0, 'conv5': 30.5},
        data='caltech20',
        images=369,
        checkpoint='a.pth',
        epochs=40,
        seed=0,
    )
    return Record(**{**fields, **kwargs})


def cells(table: ResultTable) -> dict[str, dict[str, str]]:
    """Name of a line → header → cell."""
    header, lines = table.layout()
    return {line[0]: dict(zip(header[1:], line[1:], strict=True)) for line in lines}


def test_format_mean_has_the_sample_deviation():
    assert format_mean([40.0]) == '40.00'
    assert format_mean([40.0, 42.0]) == '41.00 ± 1.41 (n=2)'  # √2


def test_table_has_published_and_measured_columns():
    table = ResultTable([record()])
    assert table.layout()[0] == [
        '',
        'conv4, published',
        'conv5, published',
        'conv4, measured',
        'conv5, measured',
    ]
    lines = {line[0]: line[1:] for line in table.layout()[1]}
    assert lines['RotNet'] == ['50.0', '43.8', '40.00', '30.50']
    assert lines['NAT'] == ['–', '36.0', '–', '–']
    assert list(lines) == list(published_table('table4')['rows'])
    assert table.title.endswith('Published on ImageNet, measured on caltech20 (369 images).')
    headers = [str(column.header) for column in table.to_rich().columns]
    assert headers[1:3] == ['conv4\npublished', 'conv5\npublished']


def test_columns_named_by_numbers_are_sorted():
    knn = record(table='knn', values={'20': 40.0, '5': 39.0, '200': 41.0})
    header, _ = ResultTable([knn], only_measured=True).layout()
    assert [name for name in header if 'measured' in name] == [
        f'{k}, measured' for k in (5, 20, 200)
    ]


def test_table_of_an_unpublished_network_has_only_its_own_columns():
    own = record(table='mobilenet.py', chance=5.0, majority=6.5)
    table = ResultTable(
        [own, record(table='mobilenet.py', row='random', values={'conv4': 0.17491})]
    )
    assert cells(table) == {
        'RotNet': {'conv4, measured': '40.00', 'conv5, measured': '30.50'},
        'random': {'conv4, measured': '0.1749', 'conv5, measured': '–'},
    }
    assert table.title == (
        'mobilenet.py: measured on caltech20 (369 images). Chance: 5.00 %, always the most '
        'frequent class: 6.50 %.'
    )


def test_table_averages_seeds_of_a_row():
    records = [
        record(values={'conv4': 40.0}),
        record(values={'conv4': 42.0}, seed=1),
        record(row='ours', values={'conv5': 1.0}),
    ]
    lines = cells(ResultTable(records))
    assert lines['RotNet']['conv4, measured'] == '41.00 ± 1.41 (n=2)'
    assert list(lines['ours'].values()) == ['–', '–', '–', '1.00']


def test_table_restricted_to_measured_cells():
    measured = [record(values={'conv4': 40.0}), record(row='ours', values={'conv4': 1.0})]
    assert cells(ResultTable(measured, only_measured=True, difference=True)) == {
        'RotNet': {
            'conv4, published': '50.0',
            'conv4, measured': '40.00',
            'conv4, difference': '-10.00',
        },
        'ours': {'conv4, published': '–', 'conv4, measured': '1.00', 'conv4, difference': '–'},
    }


def test_table_omits_columns_without_a_number():
    """Figure 5b was published as curves only; 50 labels per class are not in it."""
    table = ResultTable([record(table='figure5b', row='supervised', values={'50': 33.3})])
    assert cells(table) == {'supervised': {'50, measured': '33.30'}}


def test_data_sets_do_not_share_a_table():
    records = [record(), record(data='ImageNet'), record(table='table5', values={'conv1': 1.0})]
    assert [t.title.split('measured on ')[1] for t in result_tables(records)] == [
        'caltech20 (369 images).',
        'ImageNet (369 images).',
        'caltech20 (369 images).',
    ]
    with pytest.raises(ValueError, match='expected records of one table and one dataset'):
        ResultTable(records)


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        (dict(seed=1, checkpoint='b.pth'), 'checkpoint a.pth and b.pth'),
        (
            dict(seed=1, epochs=1),
            'RotNet, conv4: .* different experiments, epochs 1 and 40',
        ),
        (dict(), r'table4, RotNet, conv4: several runs have the same seed, \[0, 0\]'),
    ],
)
def test_table_averages_only_seeds_of_one_experiment(other, message):
    with pytest.raises(ValueError, match=message):
        ResultTable([record(), record(**other)])


def test_print_tables_escapes_rich_markup(capsys):
    print_tables([record(data='photos [raw] [/x]', row='[b]')])
    printed = capsys.readouterr().out
    assert 'measured on photos [raw] [/x] (369 images)' in ' '.join(printed.split())
    assert '│ [b] ' in printed


def test_table_of_many_columns_is_transposed():
    table = ResultTable([record(table='table8', row='random', values={'dog': 1.5, 'raccoon': 2})])
    header, lines = table.layout()
    assert header == ['', 'ImageNet labels, published', 'RotNet, published', 'random, measured']
    assert len(lines) == 21  # including the column that was not published
    assert lines[0] == ['aeroplane', '64.0', '65.5', '–']
    assert lines[11] == ['dog', '63.9', '56.8', '1.50']
    assert lines[20] == ['raccoon', '–', '–', '2.00']


def test_write_results_writes_the_table_as_markdown(tmp_path):
    write_results([record(values={'conv5': 30.5})], tmp_path / 'run')
    title, blank, header, rule, *lines = (tmp_path / 'run/results.md').read_text().splitlines()
    assert title.endswith('(369 images).')
    assert blank == ''
    assert [cell.strip() for cell in header.split('|')[1:-1]] == [
        '',
        'conv4, published',
        'conv5, published',
        'conv5, measured',
    ]
    assert set(rule) == {'|', '-'}
    assert [cell.strip() for cell in lines[-1].split('|')[1:-1]] == [
        'RotNet',
        '50.0',
        '43.8',
        '30.50',
    ]
