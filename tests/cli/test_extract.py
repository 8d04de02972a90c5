import csv

import numpy as np
import pytest
from helpers import write_photo

from mmrot.cli import main
from mmrot.results import read_records

DIGITS = 'rotnet/nin4_digits.py'


def test_extract_photos_to_npy_and_csv(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for index in range(3):
        write_photo(tmp_path / 'photos' / f'{index}.jpg', rng)
    arguments = [DIGITS, 'random', '--out', str(tmp_path / 'features'), '--stages', 'block2', '3']
    main(['extract', *arguments, '--image-folder', str(tmp_path / 'photos'), '--pool', '200'])
    assert 'block4.npy: 3 images, ' in capsys.readouterr().out
    features = np.load(tmp_path / 'features/block2.npy')
    assert features.shape == np.load(tmp_path / 'features/block4.npy').shape
    assert features.dtype == np.float32
    rows = list(csv.reader((tmp_path / 'features/images.csv').read_text().splitlines()))
    assert rows == [['file'], *([str(tmp_path / f'photos/{index}.jpg')] for index in range(3))]


def test_eval_knn_writes_the_table(tmp_path):
    main(['eval', 'knn', 'random', '--config', DIGITS, '--work-dir', str(tmp_path), '--k', '5'])
    (record,) = read_records(tmp_path)
    assert list(record.values) == ['5']
    assert record.config == 'nin4_digits.py'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['extract', DIGITS, 'random', '--stages', 'conv9'], 'NIN has no stage conv9'),
        (['extract', DIGITS, 'random', '--in-memory'], '--in-memory applies only to training'),
        (['eval', 'knn', 'random', '1', DIGITS, '--amp'], '--amp applies only to training'),
        (['eval', 'knn', 'random', '1', DIGITS, '--k', '1498'], 'k=1498 exceeds the number'),
    ],
)
def test_errors_are_one_line(tmp_path, arguments, message):
    folder = '--out' if arguments[0] == 'extract' else '--work-dir'
    with pytest.raises(SystemExit, match=message):
        main([*arguments, folder, str(tmp_path)])
