import pytest
import torch

from mmrot.weights import fully_convolutional, network_config


def test_weights_keep_the_order_of_flattening():
    fc6 = torch.arange(2.0 * 9216).reshape(2, 9216)
    state = {'backbone.fc6.fc.weight': fc6, 'backbone.fc7.fc.weight': torch.ones(3, 4096)}
    state['head.fc.weight'] = torch.ones(4, 4096)
    out = fully_convolutional(state)
    assert out['backbone.fc6.fc.weight'].shape == (2, 256, 6, 6)
    assert torch.equal(out['backbone.fc6.fc.weight'].flatten(1), fc6)
    assert out['backbone.fc7.fc.weight'].shape == (3, 4096, 1, 1)
    assert out['head.fc.weight'] is state['head.fc.weight']
    again = fully_convolutional(out)
    assert all(torch.equal(again[key], out[key]) for key in out)


def test_network_config_recognises_the_convolutions():
    state = {'conv1.conv.weight': torch.ones(1), 'fc6.fc.weight': torch.ones(2, 9216)}
    assert not network_config(state)['convolutional']
    assert network_config(fully_convolutional(state))['convolutional']


def test_other_network_raises():
    with pytest.raises(ValueError, match=r'no fc6\.fc\.weight'):
        fully_convolutional({'conv1.weight': torch.ones(1)})
    with pytest.raises(ValueError, match=r'fc6\.fc\.weight has shape \(2, 100\), expected .*9216'):
        fully_convolutional({'fc6.fc.weight': torch.ones(2, 100)})
