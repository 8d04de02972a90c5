"""mmrot's registries, children of mmengine's root registries.

mmengine imports this module when it meets a type written ``mmrot.X``, so
configs need no ``custom_imports``.
"""

from typing import Any

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS, VISBACKENDS, VISUALIZERS, Registry
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmrot', locations=['mmrot.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmrot', locations=['mmrot.datasets']
)
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='mmrot', locations=['mmrot.datasets']
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
FUNCTIONS = Registry(
    'function', parent=MMENGINE_FUNCTIONS, scope='mmrot', locations=['mmrot.datasets']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmrot', locations=['mmrot.engine.hooks'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope='mmrot',
    locations=['mmrot.engine.bfloat16_optim_wrapper'],
)

# Configs inherited with 'mmrot::...' are built in mmrot's scope. Without these
# empty registries mmengine warns that it cannot find the scope.
for _parent in (OPTIMIZERS, PARAM_SCHEDULERS, VISBACKENDS, VISUALIZERS):
    Registry(_parent.name, parent=_parent, scope='mmrot', locations=['mmrot.registry'])


def resolve_type(registry: Registry, part: dict[str, Any]) -> Any:
    """Return the class of part of a config, looked up as mmengine does when it is built.

    Args:
        registry: Registry of its kind.
        part: Dict with ``type``, a name or the class itself, and possibly ``_scope_``.

    Returns:
        The class, or None if no class of this name is registered.
    """
    kind = part.get('type')
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(part.get('_scope_')) as found:
        return found.get(kind)
