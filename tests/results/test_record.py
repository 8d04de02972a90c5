import json

import pytest

from mmrot.results import Record, read_records, write_records

FIELDS = dict(table='table4', row='RotNet', values={'conv4': 40.0}, data='photos', images=369)


@pytest.mark.parametrize('name', ['results.json', 'records.jsonl'])
def test_written_records_are_read_back(name, tmp_path):
    records = [Record(**FIELDS, seed=seed, versions={'torch': '2'}) for seed in (0, 1)]
    write_records(records, tmp_path / name)
    assert read_records(tmp_path / name) == records
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_values_are_rounded_on_writing(tmp_path):
    record = Record(**{**FIELDS, 'values': {'conv4': 54.669999999999995}})
    write_records([record], tmp_path / 'results.json')
    (content,) = json.loads((tmp_path / 'results.json').read_text())
    assert content == {**FIELDS, 'values': {'conv4': 54.67}}  # and no empty fields


def test_records_of_version_0_1_are_read(tmp_path):
    old = dict(FIELDS, checkpoint='a.pth', epochs=None, seconds_since_start=7, unknown=1)
    (tmp_path / 'results.json').write_text(json.dumps([old]))
    assert read_records(tmp_path) == [Record(**FIELDS, checkpoint='a.pth', seconds=7)]


def test_experiment_excludes_the_seed():
    first = Record(**FIELDS, seed=0, epochs=1)
    assert first.experiment == Record(**FIELDS, seed=1, epochs=1).experiment
    assert first.experiment != Record(**FIELDS, seed=0, epochs=2).experiment


def test_read_records_without_a_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match='the run has not finished'):
        read_records(tmp_path)


@pytest.mark.parametrize(
    'content',
    [
        '{',
        '[]',
        '[1]',
        '[{"table": "table4"}]',
        json.dumps(FIELDS),
        json.dumps([{**FIELDS, 'values': {'conv4': 'high'}}]),
    ],
)
def test_read_records_rejects_other_files(content, tmp_path):
    (tmp_path / 'results.json').write_text(content)
    with pytest.raises(ValueError, match=r'results\.json'):
        read_records(tmp_path)
