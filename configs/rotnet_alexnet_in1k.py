r"""AlexNet on ImageNet, the paper's main experiment.

    tools/dist_train.sh configs/rotnet_alexnet_in1k.py 8

Same as rotnet/alexnet_in1k.py.
"""

_base_ = 'rotnet/alexnet_in1k.py'
