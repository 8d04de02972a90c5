import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from typing import Any

import torch
from mmengine.dist import get_world_size

from mmrot.packages import installed, names_of_all


def environment() -> dict[str, Any]:
    """Return the fields of a :class:`Record` that describe the environment of a run.

    Returns:
        ``processes``, ``device``, ``machine``, ``versions``, ``date`` and ``command``.
    """
    packages = installed(['mmrot', 'torch', *names_of_all()])
    return dict(
        processes=get_world_size(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        machine=f'{platform.system()} {platform.machine()}, {os.cpu_count()} cores',
        versions={dist.name: dist.version for dist in packages},
        date=datetime.now(timezone.utc).strftime('%Y-%m-%d'),
        command=shlex.join(sys.argv),
    )
