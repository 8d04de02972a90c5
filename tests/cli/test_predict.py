import csv

import numpy as np
import pytest
import torch
from helpers import write_photo

import mmrot
from mmrot.cli import main


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """A checkpoint that contains its config, as those of training do."""
    model = mmrot.get_model('rotnet_nin4_digits')
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_1.pth'
    meta = dict(cfg=model._config.pretty_text)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return str(path)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    write_photo(folder / 'a [1].jpg', np.random.default_rng(0))
    write_photo(folder / 'b.png', np.random.default_rng(0), (90, 30))
    return folder


def test_predict_prints_a_table(photos, checkpoint, capsys):
    main(['predict', str(photos / 'a [1].jpg'), '--checkpoint', checkpoint])
    printed = capsys.readouterr().out
    assert 'confidence' in printed
    assert '[1]' in printed


def test_predict_names_unread_photos_and_goes_on(photos, checkpoint, capsys, tmp_path):
    (photos / 'aa.txt').write_text('not a photo')
    out = tmp_path / 'answers.csv'
    command = ['predict', str(photos), '--checkpoint', checkpoint, '--csv', str(out)]
    command += ['--average', '--config', 'rotnet/nin4_digits.py', '--batch-size', '2']
    with pytest.raises(SystemExit, match='1'):
        main(command)
    errors = capsys.readouterr().err
    assert f'{photos / "aa.txt"}: not an image that Pillow can read.\n' in errors
    assert errors.endswith('1 of 3 photos could not be read.\n')
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row['photo'] for row in rows] == [
        str(photos / x) for x in ('a [1].jpg', 'aa.txt', 'b.png')
    ]
    assert [bool(row['angle']) for row in rows] == [True, False, True]
    assert rows[1]['error'] == 'not an image that Pillow can read.'
    expected = mmrot.RotationInferencer(None, checkpoint)(photos / 'b.png', average=True)[0]
    for angle, probability in expected['probabilities'].items():
        assert float(rows[2][str(angle)]) == pytest.approx(probability, abs=1e-4)
    before = out.read_bytes()
    with pytest.raises(SystemExit, match=r'File exists: .*answers\.csv'):
        main(command)
    assert out.read_bytes() == before


def test_predict_writes_csv_to_the_standard_output(photos, checkpoint, capsys):
    main(['predict', str(photos), '--checkpoint', checkpoint, '--csv'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'photo,angle,confidence,0,90,180,270,error'
    assert len(lines) == 3


def test_predict_with_a_missing_checkpoint_exits_in_one_line(photos, tmp_path):
    with pytest.raises(SystemExit, match=r'mmrot: error: checkpoint .*none\.pth does not exist'):
        main(['predict', str(photos), '--checkpoint', str(tmp_path / 'none.pth')])
