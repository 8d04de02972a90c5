"""What probes of all layers cost, against the most expensive one."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from timing import Variant, benchmark

import mmrot


@benchmark('Training step of linear probes, AlexNet, 32 images of 224×224 pixels', rounds=5)
def probes(options: Any) -> Mapping[str, Variant]:
    cfg = Config.fromfile(mmrot.config_path('benchmarks/classification/alexnet_linear_in1k.py'))
    layers = list(cfg.model.head.probes)
    data = dict(
        inputs=torch.rand(32, 3, 224, 224),  # (N, 3, H, W)
        data_samples=[DataSample().set_gt_label(i) for i in range(32)],
    )

    def build(names: list[str]) -> Variant:
        """Build probes of some layers on a backbone that ends with the last of them."""
        model_cfg = copy.deepcopy(cfg.model)
        frozen = layers.index(names[-1]) + 1
        model_cfg.backbone.update(out_indices=names, frozen_stages=frozen)
        model_cfg.head.probes = {name: model_cfg.head.probes[name] for name in names}
        model = MODELS.build(model_cfg)
        model.train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        return partial(_step, model, data, wrapper)

    return {'all five layers': build(layers), **{f'only {n}': build([n]) for n in layers}}


def _step(model: Any, data: dict, wrapper: Any) -> None:
    model.train_step(data, wrapper)
