"""Time to import, and to the first iteration."""

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from typing import Any

from timing import Variant, benchmark, in_new_process


def _import(names: str) -> None:
    in_new_process(f'import {names}')


@benchmark('Start Python and import', unit='s', rounds=5)
def imports(options: Any) -> Mapping[str, Variant]:
    names = ('torch', 'mmengine.runner', 'mmpretrain.models', 'mmrot', 'mmrot.models')
    return {name: partial(_import, name) for name in names}


_FIRST = """
import sys
import torch
from mmengine.hooks import Hook
class Stop(Hook):
    def after_train_iter(self, *args, **kwargs):
        raise SystemExit
from mmrot.cli import main
from mmrot.engine import Runner
train = Runner.train
def train_once(self):
    self.register_hook(Stop())
    return train(self)
Runner.train = train_once
main(['train', 'rotnet/nin4_digits.py', '--work-dir', sys.argv[1]])
"""
_BARE_FIRST = """
import torch
from sklearn.datasets import load_digits
from torch import nn
images = torch.tensor(load_digits().images[:64, None], dtype=torch.float32)
network = nn.Sequential(nn.Conv2d(1, 48, 3), nn.ReLU())
network(images).sum().backward()
"""


def _first_iteration() -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_new_process(_FIRST, os.path.join(folder, 'run'))


def _bare_first_iteration() -> None:
    in_new_process(_BARE_FIRST)


@benchmark('From starting Python to the end of the first iteration, digits', unit='s', rounds=5)
def first_iteration(options: Any) -> Mapping[str, Variant]:
    return {
        'PyTorch and scikit-learn alone': _bare_first_iteration,
        'mmrot train': _first_iteration,
    }
