#!/usr/bin/env python3
"""Set up the virtual environment in which ``make demo`` and ``make test`` run.

Level ``core`` is enough for pretraining and classification; ``full`` adds mmdet, mmseg, the
development tools and mmcv's compiled ops, for which it needs a C++ compiler. ``upstream`` installs
OpenMMLab's own packages and links everything else, such as torch, from the environment whose
Python runs the script. Running it again changes nothing unless the requirements have changed.
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
import venv
from collections import deque
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Without optimisation beyond -O1 and without debug information, compiling takes half the time.
OPS_FLAGS = {'MMCV_WITH_OPS': '1', 'CFLAGS': '-g0 -O1'}


def requirements(file: str, prefix: str = '') -> list[str]:
    """Return the lines of a requirements file that start with a prefix."""
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line.startswith(prefix) and line and line[0] != '#']


def fingerprint() -> str:
    """Return a hash of all that determines the content of the environment."""
    files = [*sorted(ROOT.glob('requirements*.txt')), ROOT / 'constraints.txt', ROOT / 'setup.py']
    contents = [file.read_bytes() for file in [*files, Path(__file__)]]
    return hashlib.sha256(b''.join([str(ROOT).encode(), *contents])).hexdigest()


def imports(python: str, modules: str) -> bool:
    """Return whether an interpreter can import a comma-separated list of modules."""
    return not subprocess.run([python, '-c', f'import {modules}'], capture_output=True).returncode


def pip(python: str, *args: str) -> None:
    """Run ``pip install`` and show its errors only."""
    command = [python, '-m', 'pip', 'install', '--disable-pip-version-check', '-qq', *args]
    subprocess.run(command, check=True)


def create(path: Path) -> None:
    """Create a virtual environment."""
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        version = '.'.join(map(str, sys.version_info[:2]))
        sys.exit(f'{sys.executable} is Python {version}. Set PYTHON to a Python 3.10 to 3.13.')
    print(f'Creating {path} with {sys.executable}', flush=True)
    venv.create(path, with_pip=True)


def lend_torch(path: Path) -> None:
    """Make a torch of this interpreter visible in the environment."""
    code = 'import torch, torchvision; print(torch.__file__)'
    torch = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    if torch.returncode == 0:
        (site,) = path.glob('lib/python3*/site-packages')
        (site / 'torch_of_base.pth').write_text(str(Path(torch.stdout.strip()).parents[1]) + '\n')


def install_core(python: str) -> None:
    """Install torch, mmengine, mmcv without compiled ops, mmpretrain and mmrot (editable)."""
    packages = requirements('requirements.txt')
    if imports(python, 'torch, torchvision'):
        packages = [line for line in packages if not line.startswith('torch')]
    else:
        print('Downloading torch (about 3 GB)', flush=True)
        pip(python, *requirements('constraints.txt'))
    if not imports(python, 'mmcv'):
        # pip caches wheels with and without ops under the same key. The cache is left to the
        # wheel with ops, which takes minutes to build.
        print('Installing mmcv without ops', flush=True)
        mmcv = requirements('requirements.txt', 'onedl-mmcv')
        pip(python, '--no-cache-dir', '--no-deps', *mmcv)
    print('Installing requirements.txt', flush=True)
    pip(python, *packages)
    if not imports(python, 'cv2'):  # opencv-python needs libGL, which servers lack
        print('Installing the headless OpenCV', flush=True)
        headless = requirements('requirements-full.txt', 'opencv-python-headless')
        pip(python, '--force-reinstall', '--no-deps', *headless)
    install_mmrot(python)


def install_mmrot(python: str) -> None:
    """Install mmrot (editable)."""
    pip(python, *requirements('requirements-full.txt', 'setuptools'), 'wheel')
    pip(python, '--no-deps', '--no-build-isolation', '-e', str(ROOT))


def install_upstream(python: str) -> None:
    """Link the packages of this interpreter except for mmengine and the like, install OpenMMLab's.

    Their dependencies are those of the forks. pip does not see to them, so it replaces no link.
    """
    (site,) = Path(python).parents[1].glob('lib/python3*/site-packages')
    for link in site.iterdir():
        if link.is_symlink():
            link.unlink()
    for dist in distributions():
        if not dist.name.startswith(('mm', 'onedl', 'pip', 'setuptools')):
            for name in {file.parts[0] for file in dist.files or ()} - {'..', '__pycache__'}:
                if not (site / name).exists():
                    (site / name).symlink_to(str(dist.locate_file(name)))
    print('Installing requirements-upstream.txt', flush=True)
    pip(python, '--no-deps', '-r', str(ROOT / 'requirements-upstream.txt'))
    pip(python, *requirements('requirements-full.txt', 'pytest'))
    install_mmrot(python)


def install_full(python: str) -> None:
    """Install mmdet, mmseg, the development tools and mmcv's compiled ops."""
    print('Installing requirements-full.txt', flush=True)
    pip(python, *requirements('requirements-full.txt'))
    if not imports(python, 'mmcv._ext'):
        compile_ops(python)
    if not imports(python, 'mmcv._ext'):  # a cached wheel without ops, or for another torch
        compile_ops(python, '--no-cache-dir')
    subprocess.run([python, '-c', 'import mmcv._ext'], check=True)


def compile_ops(python: str, *args: str) -> None:
    """Build mmcv with its ops, showing ninja's progress, or take the wheel in pip's cache."""
    print("Compiling mmcv's ops (about 9 minutes on 2 cores)", flush=True)
    command = [python, '-m', 'pip', 'install', '-v', '--force-reinstall', '--no-deps']
    command += ['--no-build-isolation', *args, *requirements('requirements.txt', 'onedl-mmcv')]
    last_lines: deque[str] = deque(maxlen=40)
    env = {**OPS_FLAGS, **os.environ}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    ) as process:
        for line in process.stdout or ():
            last_lines.append(line)
            if step := re.match(r'\s*(\[\d+/\d+\])', line):
                print(step[1], end='\r' if sys.stdout.isatty() else '\n', flush=True)
    if process.returncode:
        print(''.join(last_lines), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('level', choices=['core', 'full', 'upstream'])
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv', help='default: .venv')
    args = parser.parse_args()
    path = args.venv.absolute()
    python = str(path / 'bin/python')
    stamp = path / f'.mmrot-{args.level}'
    for complete in (stamp, path / '.mmrot-full'):
        if complete.exists() and complete.read_text() == fingerprint():
            return
    start = time.time()
    try:
        if not (path / 'bin/pip').exists():
            create(path)
            if args.level != 'upstream':
                lend_torch(path)
        if args.level == 'upstream':
            install_upstream(python)
        else:
            install_core(python)
        if args.level == 'full':
            install_full(python)
    except subprocess.CalledProcessError as error:
        sys.exit(f'Setting up {path}: status {error.returncode} of {" ".join(error.cmd)}')
    stamp.write_text(fingerprint())
    print(f'{path} is ready after {time.time() - start:.0f} s', flush=True)


if __name__ == '__main__':
    main()
