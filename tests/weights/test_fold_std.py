import pytest
import torch
from helpers import lively

from mmrot.models import NIN, AlexNet
from mmrot.weights import fold_std
from mmrot.weights.checkpoint import load_checkpoint
from mmrot.weights.convert import convert_fold_std, takes_raw_pixels

STD = torch.tensor([58.395, 57.12, 57.375])[:, None, None]


@torch.no_grad()
def test_folded_network_computes_the_same_from_mean_subtracted_pixels():
    torch.manual_seed(0)
    network = lively(AlexNet(out_indices=(4,)))
    raw = 60 * torch.randn(2, 3, 95, 95)  # RGB - mean
    expected = network(raw / STD)[0]
    network.load_state_dict(fold_std(network.state_dict()))
    torch.testing.assert_close(network(raw)[0], expected, rtol=1e-4, atol=1e-4)


def test_fold_std_rejects_another_network():
    with pytest.raises(ValueError, match=r'no conv1\.conv\.weight: expected an AlexNet'):
        fold_std(NIN(3, 12).state_dict())


def test_file_is_folded_only_once(alexnet_checkpoint, tmp_path):
    path = convert_fold_std(str(alexnet_checkpoint), str(tmp_path / 'out.pth'))
    assert takes_raw_pixels(load_checkpoint(path))
    assert not takes_raw_pixels(load_checkpoint(alexnet_checkpoint))
    with pytest.raises(ValueError, match='already folded into conv1'):
        convert_fold_std(str(path), str(tmp_path / 'again.pth'))
