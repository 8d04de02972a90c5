from .alexnet import AlexNet
from .nin import NIN
from .resnet import ResNet

__all__ = ['NIN', 'AlexNet', 'ResNet']
