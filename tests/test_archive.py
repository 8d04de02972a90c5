import struct
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import torch

from mmrot.archive import check_archive
from mmrot.errors import UserError


def test_archives_of_torch_and_numpy_are_accepted(tmp_path):
    torch.save({'a': torch.zeros(1000)}, tmp_path / 'a.pth')
    np.savez(tmp_path / 'a.npz', a=np.zeros(1000))
    for file in tmp_path.iterdir():
        check_archive(file)
        with open(file, 'rb') as stream:
            check_archive(stream)


def test_compressed_members_are_refused(tmp_path):
    with ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.writestr('whole', b'abc')
        archive.writestr('zeros', bytes(10**6), ZIP_DEFLATED)
    with pytest.raises(UserError, match="'zeros' is compressed"):
        check_archive(tmp_path / 'a.zip')


def test_members_larger_than_the_archive_are_refused(tmp_path):
    file = tmp_path / 'a.zip'
    with ZipFile(file, 'w') as archive:
        archive.writestr('a', bytes(100))
    content = file.read_bytes()
    entry = content.index(b'PK\1\2') + 20  # compressed and uncompressed size
    assert struct.unpack_from('<2I', content, entry) == (100, 100)
    sizes = struct.pack('<2I', 3 * 10**9, 3 * 10**9)
    file.write_bytes(content[:entry] + sizes + content[entry + 8 :])
    with pytest.raises(UserError, match=r'members have 3,000,000,000 bytes, but the archive has'):
        check_archive(file)


def test_files_that_are_not_archives_are_refused(tmp_path):
    (tmp_path / 'a.zip').write_bytes(b'PK\3\4 and more')
    with pytest.raises(UserError, match='not a zip archive'):
        check_archive(tmp_path / 'a.zip')
