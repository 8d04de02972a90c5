import numpy as np
from mmcv.transforms import RandomFlip
from mmpretrain.datasets.transforms import RandomResizedCrop

from mmrot.datasets.seeded_samples import seed_all
from mmrot.datasets.transforms import TorchResizedCrop


def test_crops_and_flips_equal_those_of_mmpretrain():
    """On noise, whose pixels differ more than those of photos."""
    rng = np.random.default_rng(0)
    crop = RandomResizedCrop(24, backend='pillow')
    flip = RandomFlip(prob=0.5, direction='horizontal')
    fast = TorchResizedCrop(scale=24, flip=True)
    flipped = []
    for seed in range(100):
        image = rng.integers(0, 256, (*rng.integers(10, 90, 2), 3), dtype=np.uint8)
        seed_all(seed)
        expected = flip(crop(dict(img=image)))
        seed_all(seed)
        found = fast(dict(img=image))
        assert np.abs(found.pop('img').astype(int) - expected.pop('img')).max() <= 2
        assert found == expected
        flipped.append(found['flip'])
    assert 30 < sum(flipped) < 70


def test_without_flip_only_the_crop_is_drawn():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    seed_all(0)
    assert TorchResizedCrop(scale=24)(dict(img=image))['flip'] is False
    after = np.random.rand()  # noqa: NPY002
    seed_all(0)
    crop = RandomResizedCrop(24)
    crop.rand_crop_params(image)
    assert np.random.rand() == after  # noqa: NPY002
