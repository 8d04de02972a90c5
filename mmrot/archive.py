"""Check zip archives from untrusted sources before they are read."""

from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from mmrot.errors import UserError


def check_archive(file: str | Path | BinaryIO) -> None:
    """Check that the members of a zip archive are not larger than the archive.

    ``torch.save`` and ``numpy.savez`` do not compress. A compressed member can inflate to a
    thousand times its size, and many members can share the same bytes.

    Args:
        file: Path, or seekable binary file.

    Raises:
        UserError: If the file is not a zip archive, or a member is compressed; if the members
            add up to more than the archive.
    """
    try:
        with ZipFile(file) as archive:
            members = archive.infolist()
            size = archive.fp.seek(0, 2) if archive.fp else 0
    except (BadZipFile, ValueError, NotImplementedError) as error:
        raise UserError(f'not a zip archive: {error}') from error
    for member in members:
        if member.compress_type != ZIP_STORED:
            raise UserError(f'{member.filename[:80]!r} is compressed')
    total = sum(member.file_size for member in members)
    if total > size:
        raise UserError(f'its members have {total:,} bytes, but the archive has {size:,}')
