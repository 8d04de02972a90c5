"""mmrot's registries, children of mmengine's root registries.

mmengine imports this module by itself when it meets a type that is written
``mmrot.X``, so no config needs ``custom_imports``.
"""

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmrot', locations=['mmrot.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmrot', locations=['mmrot.datasets']
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmrot',
    locations=['mmrot.datasets.transforms'],
)
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmrot', locations=['mmrot.evaluation']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmrot', locations=['mmrot.hooks'])
