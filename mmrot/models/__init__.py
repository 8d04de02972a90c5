from .alexnet import AlexNet
from .nin import NIN
from .rotation_data_preprocessor import RotationDataPreprocessor
from .rotation_head import RotationHead
from .rotation_pred import RotationPred

__all__ = ['NIN', 'AlexNet', 'RotationDataPreprocessor', 'RotationHead', 'RotationPred']
