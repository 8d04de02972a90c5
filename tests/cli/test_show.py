import cv2
import pytest

from mmrot.cli import main
from mmrot.cli.show import KINDS

DIGITS = 'rotnet/nin4_digits.py'


@pytest.mark.parametrize('kind', KINDS)
def test_kind_has_help(kind, capsys):
    with pytest.raises(SystemExit, match='0'):
        main(['show', kind, '--help'])
    assert f'usage: mmrot show {kind} CONFIG CHECKPOINT' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('filters', []),
        ('attention', ['--stages', 'block2', '3', '--powers', '4', '--images', '0', '7']),
        ('neighbours', ['--stage', 'block2', '--k', '3', '--count', '2', '--bank', 'test']),
        ('features', ['--thumbnails']),
    ],
)
def test_figure_is_written_to_the_work_dir(kind, options, tmp_path, capsys):
    main(['show', kind, DIGITS, 'random', '--work-dir', str(tmp_path), *options])
    path = tmp_path / f'{kind}.png'
    assert capsys.readouterr().out.strip().splitlines()[-1] == str(path)
    assert cv2.imread(str(path)).std() > 1


def test_figure_is_written_in_the_format_of_its_name(tmp_path):
    main(['show', 'filters', DIGITS, 'random', '--out', str(tmp_path / 'new/filters.pdf')])
    assert (tmp_path / 'new/filters.pdf').read_bytes().startswith(b'%PDF')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['attention', DIGITS, 'random', '--stages', 'conv9'], 'NIN has no stage conv9'),
        (['filters', DIGITS, 'random', '--out', 'a.xyz'], r'--out a\.xyz: expected one of'),
        (['filters', DIGITS, 'none.pth'], 'none.pth'),
        (['confusion', DIGITS, 'random'], 'random'),
        (['neighbours', DIGITS, 'random', '--image-folder', 'a', 'b'], 'expected one folder'),
    ],
)
def test_errors_are_one_line(arguments, message, tmp_path):
    with pytest.raises(SystemExit, match=f'mmrot: error: .*{message}'):
        main(['show', *arguments, '--work-dir', str(tmp_path)])
