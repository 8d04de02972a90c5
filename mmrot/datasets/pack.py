"""Pack photos into tar shards."""

import hashlib
import io
import json
import os
import tarfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import mmcv
import numpy as np
from filelock import FileLock, Timeout
from rich.progress import Progress

from mmrot.errors import ImageError, UserError
from mmrot.files import replacing, write_atomically

from .image_folder import ImageFolder
from .shards import SETTINGS, sample_key, shard_name, write_index
from .transforms import LoadImage

_QUALITY = 95  # of the JPEG files
# Photos that are read ahead of the one that is written, per process.
_AHEAD = 16
# Seconds to wait for the processes of a call that was killed, which hold its lock.
_PATIENCE = 10


class Packed(NamedTuple):
    """What a pack holds.

    Attributes:
        images: Number of images.
        shards: Number of shards.
        size: Size of the shards in bytes.
        skipped: Why each photo that was left out cannot be decoded.
    """

    images: int
    shards: int
    size: int
    skipped: list[str]


def pack_photos(
    folder: str | Path,
    out: str | Path,
    short_side: int | None = None,
    shard_size: int = 10000,
    jobs: int = 1,
) -> Packed:
    """Pack a folder of photos into tar shards in WebDataset's layout, with an index.

    Photos that cannot be decoded are skipped. Each complete shard gets a ``.json`` record that
    maps its keys to file names. After an interruption, call the function again: it goes on with
    the shards that have none.

    Args:
        folder: Folder of photos, nested folders included, read as :class:`mmrot.ImageFolder`
            does.
        out: New or empty folder, or one with a pack of the same photos and settings.
        short_side: Largest short side in pixels. Larger photos are resized and encoded as JPEG;
            all others are stored unchanged. By default no photo is resized.
        shard_size: Number of photos per shard.
        jobs: Number of processes.

    Returns:
        The numbers of images and shards, their size, and the photos that were skipped.

    Raises:
        FileNotFoundError: If the folder does not exist.
        UserError: If there are no photos, or none can be decoded; if ``out`` contains something
            else, or another process is packing there.
    """
    photos = ImageFolder(str(folder), pipeline=[], serialize_data=False).data_list
    paths = [photo['img_path'] for photo in photos]
    names = [os.path.relpath(path, folder) for path in paths]
    out = Path(out)
    settings = dict(
        folder=str(Path(folder).resolve()),
        photos=len(names),
        sha256_of_names=hashlib.sha256(b'\0'.join(map(os.fsencode, names))).hexdigest(),
        short_side=short_side,
        shard_size=shard_size,
    )
    _prepare(out, settings)
    try:
        with FileLock(out / '.lock', timeout=_PATIENCE):
            return _pack(paths, names, out, short_side, shard_size, jobs)
    except Timeout as error:
        raise UserError(f'another process is packing photos into {out}.') from error


def _prepare(out: Path, settings: dict[str, Any]) -> None:
    """Create the folder, or check that it holds a pack with the same settings."""
    file = out / SETTINGS
    if not file.exists():
        unfinished = {f'.{SETTINGS}.tmp'}
        if out.exists() and (not out.is_dir() or set(os.listdir(out)) - unfinished):
            raise UserError(f'{out} exists and is not a folder of shards. Choose a new folder.')
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(settings, indent=1))
        return
    try:
        old = json.loads(file.read_text())
        changed = [name for name in settings if old[name] != settings[name]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{file} is damaged. Choose a new folder.') from error
    if changed == ['sha256_of_names'] or 'photos' in changed:
        raise UserError(
            f'{out} was packed from other photos than those now in {settings["folder"]}. Choose '
            'a new folder.'
        )
    if changed:
        differences = [f'{name}={old[name]}, not {settings[name]}' for name in changed]
        raise UserError(
            f'{out} was packed with {", ".join(differences)}. Use the same settings or choose a '
            'new folder.'
        )


def _pack(
    paths: Sequence[str],
    names: Sequence[str],
    out: Path,
    short_side: int | None,
    shard_size: int,
    jobs: int,
) -> Packed:
    images, sizes, skipped = [], [], []
    pool = ProcessPoolExecutor(jobs, initializer=_end_with_parent)
    pool.submit(len, ()).result()  # fork before the progress bar starts a thread
    with pool, Progress() as progress:
        task = progress.add_task('Packing photos', total=len(paths))
        for number, start in enumerate(range(0, len(paths), shard_size)):
            part = slice(start, start + shard_size)
            shard = out / shard_name(number)
            record = _finished(shard)
            if record is None:
                photos = _encoded(pool, paths[part], short_side, _AHEAD * jobs)
                try:
                    record = _write_shard(
                        shard, start, names[part], photos, lambda: progress.advance(task)
                    )
                except OSError as error:
                    raise UserError(f'{shard}: {error}.') from error
            else:
                progress.advance(task, len(paths[part]))
            rows = [image[:3] for image in record['images']]
            images.append(np.array(rows, np.int64).reshape(-1, 3))
            sizes.append(record['bytes'])
            skipped += record['skipped']
    if len(skipped) == len(paths):
        raise UserError(f'none of the photos can be decoded: {skipped[0]}')
    write_index(out, images, sizes)
    return Packed(sum(map(len, images)), len(sizes), sum(sizes), skipped)


def _finished(shard: Path) -> dict[str, Any] | None:
    """Return the record of a complete shard."""
    try:
        record = json.loads(shard.with_suffix('.json').read_text())
        return record if shard.stat().st_size == record['bytes'] else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def _write_shard(
    shard: Path,
    first_key: int,
    names: Sequence[str],
    photos: Iterator[tuple[bytes, str]],
    advance: Callable[[], None],
) -> dict[str, Any]:
    """Write a shard, then its record: key, offset, size in bytes and file name of each image."""
    images = []
    skipped = []
    with (
        replacing(shard) as temporary,
        tarfile.open(temporary, 'w', format=tarfile.USTAR_FORMAT) as tar,
    ):
        for key, (name, (data, found)) in enumerate(zip(names, photos, strict=True), first_key):
            if data:
                info = tarfile.TarInfo(f'{sample_key(key)}{found}')
                info.size = len(data)
                images.append((key, tar.offset + tarfile.BLOCKSIZE, len(data), name))
                tar.addfile(info, io.BytesIO(data))
            else:
                skipped.append(found)
            advance()
    record = dict(bytes=shard.stat().st_size, images=images, skipped=skipped)
    write_atomically(shard.with_suffix('.json'), json.dumps(record))
    return record


def _end_with_parent() -> None:
    """End this process of a pool when the main process is killed; it would wait forever."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _encoded(
    pool: Executor, paths: Sequence[str], short_side: int | None, ahead: int
) -> Iterator[tuple[bytes, str]]:
    """Encode photos in order; only a few are in memory."""
    pending = deque(pool.submit(_encode, path, short_side) for path in paths[:ahead])
    for path in paths[ahead:]:
        result = pending.popleft().result()
        pending.append(pool.submit(_encode, path, short_side))
        yield result
    while pending:
        yield pending.popleft().result()


def _encode(path: str, short_side: int | None) -> tuple[bytes, str]:
    """Return the content of a photo and its ending, or nothing and why it cannot be decoded."""
    cv2.setNumThreads(1)  # photos are encoded in parallel
    data = Path(path).read_bytes()
    try:
        image = LoadImage().transform(dict(img_path=path, img_bytes=data))['img']
    except ImageError as error:
        return b'', str(error)
    height, width = image.shape[:2]
    if short_side is not None and min(height, width) > short_side:
        scale = short_side / min(height, width)
        size = (round(width * scale), round(height * scale))
        image = mmcv.imresize(image, size, interpolation='bicubic', backend='pillow')
        # longer sides than JPEG allows are left as they are
        fits, encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if fits:
            return encoded.tobytes(), '.jpg'
    return data, Path(path).suffix.lower()
