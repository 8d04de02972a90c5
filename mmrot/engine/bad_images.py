"""Report images that cannot be decoded, and stop when there are too many."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmrot.datasets.seeded_samples import SeededSamples, bad_images_limit
from mmrot.errors import ImageError, UserError, first_few
from mmrot.files import write_atomically


class BadImages:
    """The bad images of a run.

    Args:
        work_dir: Folder for the list of bad images, ``bad_images.txt``.
        share: See :func:`mmrot.datasets.seeded_samples.bad_images_limit`.
    """

    def __init__(self, work_dir: str, share: float) -> None:
        self.file = Path(work_dir, 'bad_images.txt')
        self.share = share
        self._errors: dict[str, str] = {}

    def report(
        self,
        dataset: SeededSamples,
        indices: Sequence[int],
        group: torch.distributed.ProcessGroup | None = None,
    ) -> None:
        """Log bad images.

        Args:
            dataset: The dataset.
            indices: New bad images of this process.
            group: The processes of the job, all of which must call this method.

        Raises:
            UserError: If there are more bad images than are allowed; names the list.
        """
        found = [_error(dataset, index) for index in indices]
        if group is not None:
            gathered: list = [None] * torch.distributed.get_world_size(group)
            torch.distributed.all_gather_object(gathered, found, group)
            found = [error for part in gathered for error in part]
        known = len(self._errors)
        limit = bad_images_limit(len(dataset), self.share)
        for path, message in found:
            if path not in self._errors:
                self._errors[path] = message
                message = message.encode(errors='backslashreplace').decode()
                print_log(
                    f'{message} Another image takes its place. Bad images so far: '
                    f'{len(self._errors)}; training stops above {limit}.',
                    'current',
                    logging.WARNING,
                )
        if len(self._errors) > known and is_main_process():
            write_atomically(self.file, ''.join(f'{path}\n' for path in sorted(self._errors)))
        if len(self._errors) > limit:
            raise UserError(
                f'{len(self._errors)} of {len(dataset)} images cannot be decoded, more than '
                f'{limit}: {first_few(sorted(self._errors), 3)}. All are listed in {self.file}; '
                '`mmrot check` finds the others. max_bad_share sets the share that is allowed.'
            )


def _error(dataset: SeededSamples, index: int) -> tuple[str, str]:
    """Return the path of a bad image and what is wrong with it."""
    info = dataset.get_data_info(index) if hasattr(dataset, 'get_data_info') else {}
    path = info.get('img_path', f'sample {index}')
    try:
        dataset.dataset[index]
    except ImageError as error:
        return path, str(error)
    return path, f'image {path}: could not be decoded at first.'
