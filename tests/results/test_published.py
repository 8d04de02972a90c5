import pytest

from mmrot.results import published_table, published_tables


def test_published_numbers_are_those_of_the_paper():
    assert published_table('table5')['rows']['RotNet'] == [18.8, 31.7, 38.7, 38.2, 36.5]
    assert published_table('table3')['rows']['RotNet + conv'] == [91.16]
    assert published_table('resnet50_coco')['rows']['RotNet'][:2] == [37.9, 56.5]


@pytest.mark.parametrize('name', published_tables())
def test_published_rows_have_a_number_or_none_per_column(name):
    table = published_table(name)
    assert {len(numbers) for numbers in table['rows'].values()} == {len(table['columns'])}


def test_published_class_precisions_average_to_the_published_map():
    column = published_table('table7')['columns'].index('detection')
    published = published_table('table7')['rows']['RotNet'][column]
    assert sum(published_table('table8')['rows']['RotNet']) / 20 == pytest.approx(
        published, abs=0.05
    )


def test_rotation_accuracy_of_alexnet_names_its_source():
    table = published_table('alexnet_rotation')
    assert table['rows']['RotNet, by one of the authors'] == [89.0]
    assert 'issue 17' in table['source']
    assert 'not in the paper' in table['source']


def test_published_table_names_known_tables():
    with pytest.raises(ValueError, match="table 'table55': expected one of table1, table2"):
        published_table('table55')
