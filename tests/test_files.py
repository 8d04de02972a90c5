import os

import pytest

from mmrot.files import replacing, write_atomically


def test_file_is_replaced_when_it_is_complete(tmp_path):
    path = tmp_path / 'a.txt'
    write_atomically(path, 'älter')
    with replacing(path) as temporary:
        temporary.write_text('newer')
        assert path.read_text(encoding='utf-8') == 'älter'
    assert path.read_text() == 'newer'
    assert [*tmp_path.iterdir()] == [path]


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, 'ne\ud800')
    with pytest.raises(FileNotFoundError), replacing(path):
        pass  # nothing was written
    assert path.read_text() == 'old'
    assert [*tmp_path.iterdir()] == [path]


def test_file_names_in_other_encodings_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / 'list.txt', os.fsdecode(b'a\xff.jpg\n'))
    assert (tmp_path / 'list.txt').read_bytes() == b'a\xff.jpg\n'
