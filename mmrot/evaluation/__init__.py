from .per_layer_accuracy import PerLayerAccuracy
from .rotation_accuracy import RotationAccuracy

__all__ = ['PerLayerAccuracy', 'RotationAccuracy']
