import io
import json

import pytest
from rich.console import Console

from mmrot.results.table import (
    ResultTable,
    published_table,
    published_tables,
    read_results,
    result_tables,
    write_results,
)


def record(**kwargs) -> dict:
    return {
        'table': 'table4',
        'row': 'RotNet',
        'data': 'caltech20',
        'images': 369,
        'values': {'conv4': 40.0, 'conv5': 30.5},
        'checkpoint': 'a.pth',
        'epochs': 40,
        'seed': 0,
        **kwargs,
    }


def test_published_numbers_of_the_paper():
    assert published_table('table5')['rows']['RotNet'] == [18.8, 31.7, 38.7, 38.2, 36.5]
    assert published_table('table3')['rows']['RotNet + conv'] == [91.16]
    for name, table in published_tables().items():
        for row, values in table['rows'].items():
            assert len(values) == len(table['columns']), (name, row)
    with pytest.raises(
        ValueError, match="table 'table55': expected one of table1, table2, table3"
    ):
        published_table('table55')


def test_published_detection():
    rows = published_table('table8')['rows']
    mean = sum(rows['RotNet']) / 20
    column = published_table('table7')['columns'].index('detection')
    assert mean == pytest.approx(published_table('table7')['rows']['RotNet'][column], abs=0.05)
    assert published_table('resnet50_coco')['rows']['RotNet'][:2] == [37.9, 56.5]


def test_published_and_measured_stand_side_by_side():
    table = ResultTable([record()])
    rows = {row[0]: row[1:] for row in table.rows()}
    assert rows['RotNet'] == ['50.0', '43.8', '40.00', '30.50']
    assert rows['NAT'] == ['–', '36.0', 'not run', 'not run']
    assert list(rows) == list(published_table('table4')['rows'])
    assert table.title.endswith('Published on ImageNet, measured on caltech20 (369 images).')
    lines = table.to_markdown().splitlines()
    assert lines[2] == (
        '|  | conv4, published | conv5, published | conv4, measured | conv5, measured |'
    )
    assert '| RotNet | 50.0 | 43.8 | 40.00 | 30.50 |' in lines
    assert [str(column.header) for column in table.to_rich().columns][1:] == [
        'conv4\npublished',
        'conv5\npublished',
        'conv4\nmeasured',
        'conv5\nmeasured',
    ]


def test_runs_of_several_seeds_and_rows():
    records = [
        record(values={'conv4': 40.0}),
        record(values={'conv4': 42.0}, seed=1),
        record(row='ours', values={'conv5': 1.0}),
    ]
    rows = {row[0]: row[1:] for row in ResultTable(records).rows()}
    assert rows['RotNet'][2:] == ['41.00 ± 1.41 (n=2)', 'not run']  # sqrt(2)
    assert rows['ours'] == ['–', '–', 'not run', '1.00']


def test_a_column_that_was_not_published():
    table = ResultTable([record(table='figure5b', row='supervised', values={'50': 33.3})])
    assert table.columns == ['20', '100', '400', '1000', '5000', '50']
    assert {row[0]: row[-1] for row in table.rows()}['supervised'] == '33.30'


def test_data_sets_never_share_a_table():
    records = [record(), record(data='ImageNet'), record(table='table5', values={'conv1': 1.0})]
    assert [t.title.split('measured on ')[1] for t in result_tables(records)] == [
        'caltech20 (369 images).',
        'ImageNet (369 images).',
        'caltech20 (369 images).',
    ]
    with pytest.raises(ValueError, match='expected records of one table and one data set'):
        ResultTable(records)


def test_results_written_and_read(tmp_path):
    write_results([record()], tmp_path / 'run')
    assert read_results(tmp_path / 'run') == [record()]
    assert '| RotNet | 50.0 |' in (tmp_path / 'run/results.md').read_text()
    with pytest.raises(FileNotFoundError, match='the run has not finished'):
        read_results(tmp_path)
    bad = json.dumps([record(values={'conv4': 'high'})])
    for text in ('{', '[]', '[1]', '[{"table": "table4"}]', json.dumps(record()), bad):
        (tmp_path / 'results.json').write_text(text)
        with pytest.raises(ValueError, match=r'results\.json: expected'):
            read_results(tmp_path)


def test_only_seeds_are_averaged():
    for other, message in (
        (
            {'seed': 1, 'checkpoint': 'b.pth'},
            'table4, RotNet, conv4: runs of different exp.*a.pth',
        ),
        ({'seed': 1, 'epochs': 1}, 'different experiments, epochs 1 and 40'),
        ({}, r'table4, RotNet, conv4: two runs of one seed among \[0, 0\]'),
    ):
        with pytest.raises(ValueError, match=message):
            ResultTable([record(), record(**other)])


def test_names_are_no_markup():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(ResultTable([record(data='photos [raw] [/x]')]).to_rich())
    assert 'measured on photos [raw] [/x] (369 images)' in console.export_text()


def test_a_table_of_many_columns_stands_on_its_side():
    """One line for each class; of rows that were not measured only what is published."""
    table = ResultTable([record(table='table8', row='random', values={'dog': 1.5, 'raccoon': 2})])
    header, lines = table.layout()
    assert header == ['', 'ImageNet labels, published', 'RotNet, published', 'random, measured']
    assert len(lines) == 21  # and the column that was not published
    assert lines[0] == ['aeroplane', '64.0', '65.5', 'not run']
    assert lines[11] == ['dog', '63.9', '56.8', '1.50']
    assert lines[20] == ['raccoon', '–', '–', '2.00']
    assert '| dog | 63.9 | 56.8 | 1.50 |' in table.to_markdown().splitlines()
