#!/usr/bin/env python3
"""Set up the environment that ``make demo`` and ``make test`` run in.

``core`` is what pretraining and classification need, ``full`` adds mmdet,
mmseg, mmcv's compiled ops and the tools of development. Needs nothing but
Python 3.10 to 3.12, and a C++ compiler for ``full``. An environment that is
complete is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def requirement(name: str, file: str) -> str:
    """Give the line of a requirements file that pins a package."""
    lines = (ROOT / file).read_text().splitlines()
    return next(line for line in lines if line.startswith(f'{name}=='))


MMCV = requirement('onedl-mmcv', 'requirements.txt')
HEADLESS = requirement('opencv-python-headless', 'requirements-full.txt')
# What pip says, and what it means, the most telling first.
CAUSES = (
    ('No space left on device', 'the disk is full'),
    (
        r'NewConnectionError|Temporary failure in name resolution|Network is unreachable|'
        r'Connection refused|ProxyError|Read timed out|Could not find a version',
        'the package index cannot be reached, or lacks a package',
    ),
    ('No module named pip', 'the interpreter has no pip'),
)


class SetupError(Exception):
    """What went wrong, in one line."""


def say(text: str) -> None:
    print(f'setup: {text}', flush=True)


class Env:
    """An environment to be brought to a level.

    Args:
        path (Path): Folder of the virtual environment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.python = path / 'bin' / 'python'
        self.log = path / 'setup.log'

    def create(self) -> None:
        """Make the environment with the running interpreter, unless it exists.

        An interpreter that has torch lends it: it is not installed again.
        """
        if self.python.exists():
            return
        if not (3, 10) <= sys.version_info[:2] <= (3, 12):
            raise SetupError(
                f'{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}: '
                'expected 3.10, 3.11 or 3.12, name one with PYTHON=...'
            )
        probe = subprocess.run(
            [sys.executable, '-c', 'import torch, torchvision'], capture_output=True
        )
        lends = probe.returncode == 0
        say(
            f'creating {self.path} with {sys.executable}'
            + (', whose torch it uses' if lends else '')
        )
        try:
            venv.create(self.path, with_pip=True, system_site_packages=lends)
        except (subprocess.CalledProcessError, OSError) as error:
            shutil.rmtree(self.path, ignore_errors=True)
            raise SetupError(
                f'{sys.executable} cannot create a virtual environment in {self.path}: '
                f'is python3-venv installed, and is there space? ({error})'
            ) from error
        if lends and sys.prefix != sys.base_prefix:
            # of an environment, venv only lends what lies beneath it
            (site,) = self.path.glob('lib/python3*/site-packages')
            (site / 'lent.pth').write_text(sysconfig.get_path('purelib') + '\n')

    def imports(self, *modules: str) -> bool:
        """Tell whether modules can be imported."""
        code = '; '.join(f'import {module}' for module in modules)
        return not subprocess.run([self.python, '-c', code], capture_output=True).returncode

    def pip(self, *args: str, env: dict[str, str] | None = None, progress: str = '') -> None:
        """Run pip install, its output in the log.

        Args:
            *args (str): Arguments of ``pip install``.
            env (dict, optional): More environment variables.
            progress (str): If given, a name under which the steps that ninja
                counts are shown in one line.

        Raises:
            SetupError: If pip fails; names the cause where it is a known one.
        """
        command = [str(self.python), '-m', 'pip', 'install', '--disable-pip-version-check', *args]
        if progress:
            command.insert(4, '-v')
        start = time.time()
        pause = 0.5 if sys.stdout.isatty() else 30
        begin = self.log.stat().st_size if self.log.exists() else 0
        with (
            self.log.open('a') as log,
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors='replace',
                env={**os.environ, **(env or {})},
            ) as process,
        ):
            log.write(f'\n$ {" ".join(command)}\n')
            shown = 0.0
            for line in process.stdout or ():
                log.write(line)
                step = re.search(r'\[(\d+)/(\d+)\]', line) if progress else None
                if step and (time.time() - shown > pause or step[1] == step[2]):
                    shown = time.time()
                    end = '\r' if sys.stdout.isatty() and step[1] != step[2] else '\n'
                    text = f'{progress}: {step[1]} of {step[2]} files, {shown - start:.0f} s'
                    print(f'setup: {text}', end=end, flush=True)
        if process.returncode:
            output = self.log.read_bytes()[begin:].decode(errors='replace')
            for pattern, meaning in CAUSES:
                if re.search(pattern, output):
                    raise SetupError(f'{meaning} (see {self.log})')
            errors = [line for line in output.splitlines() if 'error' in line.lower()]
            last = errors[-1].strip() if errors else 'no message'
            raise SetupError(f'pip failed: {last} (see {self.log})')


def digest() -> str:
    """Fingerprint of everything that decides what is installed."""
    names = ('requirements.txt', 'requirements-full.txt', 'setup.py', 'tools/setup_env.py')
    # and of the checkout, which the environment holds as an editable install
    parts = [str(ROOT).encode(), *((ROOT / name).read_bytes() for name in names)]
    return hashlib.sha256(b''.join(parts)).hexdigest()


def need_space(path: Path, gigabytes: int) -> None:
    """Raise SetupError where too little disk is free below ``path``."""
    free = shutil.disk_usage(path).free / 1e9
    if free < gigabytes:
        raise SetupError(f'{free:.1f} GB are free under {path}: expected {gigabytes} GB or more')


def install_core(env: Env) -> None:
    """Install torch, the mm packages without compiled ops, and mmrot, editable."""
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith('#')]
    if env.imports('torch', 'torchvision'):
        say('torch is there, it stays as it is')
        wanted = [line for line in wanted if not line.startswith('torch')]
    else:
        need_space(env.path, 9)
        say('installing torch, about 3 GB of downloads')
        env.pip(*[line for line in wanted if line.startswith('torch')])
    if not env.imports('mmcv'):
        # Uncached: pip keys the wheel with ops and the one without alike, and
        # its cache shall only ever hold the one that took minutes to build.
        say('installing mmcv without compiled ops')
        env.pip('--no-cache-dir', MMCV)
    say('installing mmengine, mmpretrain and mmrot')
    env.pip(*[line for line in wanted if not line.startswith('torch')])
    if not env.imports('cv2'):
        # opencv-python needs libGL, which servers lack; the headless build of
        # the same version goes over its files.
        say('this machine has no libGL: taking the headless OpenCV')
        env.pip('--force-reinstall', '--no-deps', HEADLESS)
    # setup.py needs no isolation, and this must also work without a network
    env.pip('setuptools>=80,<82', 'wheel')
    env.pip('--no-deps', '--no-build-isolation', '-e', str(ROOT))


def install_full(env: Env) -> None:
    """Add mmdet, mmseg, the tools of development and mmcv's compiled ops."""
    say('installing mmdet, mmseg and the tools of development')
    env.pip('-r', str(ROOT / 'requirements-full.txt'))
    if env.imports('mmcv._ext'):
        return
    if not any(shutil.which(name) for name in (os.environ.get('CXX', 'c++'), 'g++')):
        raise SetupError("no C++ compiler: mmcv's ops need one, install g++ or set CXX")
    need_space(env.path, 3)
    # -O1 -g0 halve the time; the ops are not what the tests wait for.
    flags = {'CFLAGS': os.environ.get('CFLAGS', '-g0 -O1'), 'MMCV_WITH_OPS': '1'}
    build = ('--force-reinstall', '--no-deps', '--no-build-isolation', MMCV)
    say("building mmcv's ops: about 10 minutes on 2 cores, seconds if pip has them in its cache")
    env.pip(*build, env=flags, progress='mmcv')
    if not env.imports('mmcv._ext'):
        say("the wheel in pip's cache has no ops for this torch: building past the cache")
        env.pip('--no-cache-dir', *build, env=flags, progress='mmcv')
    if not env.imports('mmcv._ext'):
        raise SetupError(f'mmcv was built, but mmcv._ext does not import (see {env.log})')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('level', choices=['core', 'full'])
    parser.add_argument(
        '--venv', type=Path, default=ROOT / '.venv', help='folder of the environment'
    )
    args = parser.parse_args()
    env = Env(args.venv.absolute())
    levels = {'core': install_core, 'full': install_full}
    stamps = {level: env.path / f'.mmrot-{level}' for level in levels}
    try:
        done = [
            level
            for level, stamp in stamps.items()
            if stamp.exists() and stamp.read_text() == digest()
        ]
        if args.level in done and (args.level == 'core' or env.imports('mmcv._ext')):
            say(f'{env.path} is complete')
            return
        env.create()
        start = time.time()
        for level, install in levels.items():
            if level not in done or level == args.level:
                install(env)
                stamps[level].write_text(digest())
            if level == args.level:
                break
        say(f'{env.path} is ready, after {time.time() - start:.0f} s')
    except SetupError as error:
        sys.exit(f'setup: error: {error}')
    except OSError as error:
        sys.exit(f'setup: error: {error}')


if __name__ == '__main__':
    main()
