from .per_layer_accuracy import PerLayerAccuracy
from .rotation_accuracy import RotationAccuracy
from .voc07_average_precision import VOC07AveragePrecision

__all__ = ['PerLayerAccuracy', 'RotationAccuracy', 'VOC07AveragePrecision']
