#!/usr/bin/env python
"""Compare the cost of probing all layers of AlexNet with that of probing one.

Times a training step of `alexnet_linear_in1k.py` on random 224×224 images, with
the probes of all five layers and with each of them alone on a backbone that ends
at its layer. The runs alternate, so that other load affects all alike. Prints the
median of each and the ratio of the five-layer run to the most expensive single one.
"""

import argparse
import copy
import time

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample
from rich.progress import track

import mmrot


def build(cfg: Config, layers: list[str]) -> tuple[BaseModel, OptimWrapper]:
    """Build the classifier with the probes of some layers, and its optimizer."""
    model_cfg = copy.deepcopy(cfg.model)
    names = list(model_cfg.head.probes)
    model_cfg.backbone.update(out_indices=layers, frozen_stages=names.index(layers[-1]) + 1)
    model_cfg.head.probes = {layer: model_cfg.head.probes[layer] for layer in layers}
    model = MODELS.build(model_cfg)
    model.train()
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--batch-size', type=int, default=192, help='images per batch (default 192)'
    )
    parser.add_argument(
        '--rounds', type=int, default=5, help='timed steps of each run (default 5)'
    )
    args = parser.parse_args()
    cfg = Config.fromfile(mmrot.config_path('benchmarks/classification/alexnet_linear_in1k.py'))
    layers = list(cfg.model.head.probes)
    runs = {'all': build(cfg, layers), **{layer: build(cfg, [layer]) for layer in layers}}
    data = dict(
        inputs=torch.rand(args.batch_size, 3, 224, 224),  # (N, 3, H, W)
        data_samples=[DataSample().set_gt_label(i % 1000) for i in range(args.batch_size)],
    )
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in track(range(args.rounds + 1), description='rounds'):
        for name, (model, optim_wrapper) in runs.items():
            start = time.perf_counter()
            model.train_step(data, optim_wrapper)
            if round_ > 0:  # the first round allocates memory
                seconds[name].append(time.perf_counter() - start)
    median = {name: float(np.median(values)) for name, values in seconds.items()}
    for name, value in median.items():
        print(f'{name:6} {value:.3f} s per step (min {min(seconds[name]):.3f})')
    worst = max(layers, key=lambda layer: median[layer])
    print(f'all five / {worst}: {median["all"] / median[worst]:.2f}')


if __name__ == '__main__':
    main()
