"""Peak memory of training."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from timing import Variant, benchmark, in_new_process

_CODE = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import mmrot
from mmengine.config import Config
from precision import _step, build
from step import Bare, RandomImages
cfg = Config.fromfile(mmrot.config_path('rotnet_alexnet_in1k.py'))
images = RandomImages(64, 224)
if sys.argv[2] == 'bare loop':
    bare = Bare(cfg, images, 16)
    step = bare.step
else:
    model, wrapper = build(cfg, channels_last=True)
    step = lambda: _step(model, images.images[:16], wrapper)
for _ in range(3):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _peak(kind: str) -> float:
    return float(in_new_process(_CODE, str(Path(__file__).parent), kind))


@benchmark('Peak resident memory of training, AlexNet, 16 images', unit='MiB', rounds=3, warmup=0)
def peak_memory(options: Any) -> Mapping[str, Variant]:
    return {name: partial(_peak, name) for name in ('bare loop', 'mmrot')}
