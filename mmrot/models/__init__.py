from .backbones import NIN, AlexNet, ResNet
from .ignore_difficult_head import IgnoreDifficultHead
from .probes import AlexNetProbe, LayerProbes, LinearProbe, MLPProbe, NINBlockProbe
from .rotation_data_preprocessor import RotationDataPreprocessor
from .rotation_head import RotationHead
from .rotation_pred import RotationPred
from .ten_crop_classifier import TenCropClassifier

__all__ = [
    'NIN',
    'AlexNet',
    'AlexNetProbe',
    'IgnoreDifficultHead',
    'LayerProbes',
    'LinearProbe',
    'MLPProbe',
    'NINBlockProbe',
    'ResNet',
    'RotationDataPreprocessor',
    'RotationHead',
    'RotationPred',
    'TenCropClassifier',
]
