import os
import platform
import shlex
import sys
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from mmengine.dist import get_world_size

_PACKAGES = (
    'mmrot',
    'torch',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmpretrain',
    'onedl-mmdetection',
    'onedl-mmsegmentation',
)


def environment() -> dict[str, Any]:
    """Return the fields of a :class:`Record` that describe the environment of a run.

    Returns:
        ``processes``, ``device``, ``machine``, ``versions``, ``date`` and ``command``.
    """
    versions = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # mmdet and mmseg are optional
            versions[name] = version(name)
    return dict(
        processes=get_world_size(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        machine=f'{platform.system()} {platform.machine()}, {os.cpu_count()} cores',
        versions=versions,
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d'),
        command=shlex.join(sys.argv),
    )
