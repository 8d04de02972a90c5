from .alexnet import AlexNet
from .layers import output_names
from .nin import NIN
from .resnet import ResNet

__all__ = ['NIN', 'AlexNet', 'ResNet', 'output_names']
