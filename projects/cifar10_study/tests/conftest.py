import cv2
import numpy as np
import pytest

from mmrot.results import published_table


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """20 training and 2 test images of each class of CIFAR-10, told apart by brightness."""
    root = tmp_path_factory.mktemp('data') / 'grey'
    rng = np.random.default_rng(0)
    for split, count in (('train', 20), ('test', 2)):
        for label, name in enumerate(published_table('table9')['columns']):
            for index in range(count):
                image = rng.integers(0, 20, (32, 32, 3)) + 23 * label
                path = root / split / name / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image.astype(np.uint8))
    return root
