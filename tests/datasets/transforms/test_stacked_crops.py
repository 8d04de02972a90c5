import numpy as np

from mmrot.datasets.transforms import StackedCrops


def test_stacked_crops_are_independent_and_leave_the_image_as_it_is():
    image = np.arange(30 * 30 * 3, dtype=np.uint16).reshape(30, 30, 3)
    before = image.copy()
    crop = [dict(type='mmpretrain.RandomCrop', crop_size=8)]
    out = StackedCrops(crop, num_crops=10).transform(dict(img=image, img_shape=(30, 30)))
    assert out['img'].shape == (80, 8, 3)
    assert out['img_shape'] == (80, 8)
    corners = {int(out['img'][8 * index, 0, 0]) for index in range(10)}
    assert len(corners) > 5
    row, column = divmod(int(out['img'][8, 0, 0]) // 3, 30)
    assert np.array_equal(out['img'][8:16], before[row : row + 8, column : column + 8])
    assert np.array_equal(image, before)
