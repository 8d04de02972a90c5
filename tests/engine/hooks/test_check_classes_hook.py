from types import SimpleNamespace

import pytest
from torch import nn

from mmrot.engine.hooks import CheckClassesHook
from mmrot.errors import UserError


def fake_runner(num_classes: int, train: str, val: str | None) -> SimpleNamespace:
    """Return what the hook reads of a runner; classes are words in a string."""

    def loader(classes: str) -> SimpleNamespace:
        return SimpleNamespace(dataset=SimpleNamespace(metainfo={'classes': classes.split()}))

    model = nn.Module()
    model.head = nn.Linear(1, num_classes)
    model.head.num_classes = num_classes
    val_loop = None if val is None else SimpleNamespace(dataloader=loader(val))
    return SimpleNamespace(model=model, train_dataloader=loader(train), val_loop=val_loop)


@pytest.mark.parametrize('val', ['dog cat', None])
def test_equal_classes_pass(val):
    CheckClassesHook('head').before_train(fake_runner(2, 'dog cat', val))


@pytest.mark.parametrize(
    ('num_classes', 'train', 'val', 'message'),
    [
        (2, 'dog cat', 'cat dog', 'classes of the training data are dog, cat, .* data cat, dog'),
        (3, 'dog cat', None, r'model\.head\.num_classes=3, but the data has 2 classes: dog, cat'),
        (1, 'a b c d e f', None, 'a, b, c, d, e and 1 more'),
    ],
)
def test_different_classes_raise(num_classes, train, val, message):
    with pytest.raises(UserError, match=message):
        CheckClassesHook('head').before_train(fake_runner(num_classes, train, val))
