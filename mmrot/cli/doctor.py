"""Print the installed versions and devices, and how to fix what does not work."""

import argparse
import platform
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import packages_distributions, version
from pathlib import Path

import mmrot
from mmrot.packages import (
    DISTRIBUTIONS,
    OPENMMLAB,
    installed,
    installed_families,
    shared_folders_message,
)

# Module: (whether the core needs it, what it is for, how to install it).
_BUILD = (
    'MMCV_WITH_OPS=1 pip install --no-cache-dir --no-build-isolation --no-deps --force-reinstall '
)
_MODULES = {
    'torch': (True, 'everything', 'pip install torch'),
    'torchvision': (True, 'everything', 'pip install torchvision, the version for your torch'),
    'cv2': (True, 'reading images', 'pip install --force-reinstall opencv-python-headless'),
    'mmengine': (True, 'everything', 'pip install onedl-mmengine'),
    'mmcv': (True, 'everything', 'pip install onedl-mmcv'),
    'mmpretrain': (True, 'pretraining, classification', 'pip install onedl-mmpretrain'),
    'mmrot.models': (True, 'everything', 'pip install --force-reinstall mmrot'),
    'mmcv._ext': (
        False,
        'detection, segmentation',
        f'{_BUILD}onedl-mmcv (needs a C++ compiler)',
    ),
    'mmdet': (False, 'detection', 'pip install onedl-mmdetection'),
    'mmseg': (False, 'segmentation', 'pip install onedl-mmsegmentation'),
}
# How to install a module in an environment of OpenMMLab's own packages.
_UPSTREAM = {
    'mmengine': 'pip install mmengine==0.10.7',
    'mmcv': 'pip install mmcv-lite==2.1.0',
    'mmpretrain': 'pip install mmpretrain==1.2.0',
    'mmcv._ext': (
        f"pip uninstall mmcv-lite; {_BUILD}mmcv==2.1.0 (needs a C++ compiler and 'setuptools<82')"
    ),
    'mmdet': 'pip install mmdet==3.3.0',
    'mmseg': 'pip install mmsegmentation==1.2.2 ftfy',
}


def check(name: str) -> str:
    """Import a module and return the error, or an empty string.

    Any exception counts: broken installations raise more than ImportError, such as
    the version checks of the mm packages or a missing shared library.

    Args:
        name: Name of the module.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            import_module(name)
    except Exception as error:
        return f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
    return ''


def _devices() -> str:
    import torch

    if not torch.cuda.is_available():
        return f'no GPU; CPU with {torch.get_num_threads()} threads'
    return ', '.join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot doctor``; exits with status 1 if the core does not work."""
    argparse.ArgumentParser(prog='mmrot doctor', description=__doc__).parse_args(argv)
    print(f'mmrot {mmrot.__version__} in {Path(mmrot.__file__).parent}')
    families = installed_families()
    print(f'Python {platform.python_version()} in {sys.prefix}, {platform.platform()}')
    print(f'{"family":13} {" and ".join(families) or "none is installed"}')
    if len(families) > 1:
        names = '; '.join(', '.join(names) for names in families.values())
        print(f'{"":13} → do not mix them in one environment: {names}')
    if message := shared_folders_message():
        print(f'{"":13} → {message}')
    distributions = packages_distributions()
    errors = {name: check(name) for name in _MODULES}
    for name, (_, purpose, remedy) in _MODULES.items():
        if errors[name]:
            if list(families) == [OPENMMLAB]:
                remedy = _UPSTREAM.get(name, remedy)
            print(f'{name:13} does not import (needed for {purpose}): {errors[name]}')
            print(f'{"":13} → {remedy}')
        else:
            # Python 3.10 does not map wheels without top_level.txt
            ours = [
                dist.name
                for family in DISTRIBUTIONS.values()
                for dist in installed(family.get(name, ()))
            ]
            found = dict.fromkeys(distributions.get(name) or ours)
            versions = ', '.join(f'{dist} {version(dist)}' for dist in found)
            print(f'{name:13} {versions or "ok"}')
    if not errors['torch']:
        print(f'{"devices":13} {_devices()}')
    broken = [name for name, (core, *_) in _MODULES.items() if core and errors[name]]
    print(f'The core does not work: {", ".join(broken)}.' if broken else 'The core works.')
    sys.exit(bool(broken))
