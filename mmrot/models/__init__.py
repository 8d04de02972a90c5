from .alexnet import AlexNet
from .alexnet_probe import AlexNetProbe
from .layer_probes import LayerProbes
from .linear_probe import LinearProbe
from .mlp_probe import MLPProbe
from .nin import NIN
from .nin_block_probe import NINBlockProbe
from .resnet import ResNet
from .rotation_data_preprocessor import RotationDataPreprocessor
from .rotation_head import RotationHead
from .rotation_pred import RotationPred
from .ten_crop_classifier import TenCropClassifier

__all__ = [
    'NIN',
    'AlexNet',
    'AlexNetProbe',
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
