import pytest
import torch

from mmrot.engine.resume import find_resumable, list_checkpoints
from mmrot.errors import UserError


def save(path, iteration, weight=1.0):
    state = dict(state_dict=dict(w=torch.tensor([weight])), meta=dict(iter=iteration))
    torch.save({**state, 'message_hub': {}}, path)
    return path


def test_checkpoints_are_listed_by_number_not_by_name_or_age(tmp_path):
    paths = [save(tmp_path / f'epoch_{epoch}.pth', epoch) for epoch in (10, 9, 100)]
    save(tmp_path / 'best_rotation_accuracy_epoch_99.pth', 99)
    (tmp_path / '.epoch_101.pth.tmp').touch()
    assert list_checkpoints(tmp_path) == [paths[2], paths[0], paths[1]]
    assert find_resumable(tmp_path) == (paths[2], [])


def test_damaged_and_non_finite_checkpoints_are_passed_over(tmp_path):
    good = save(tmp_path / 'epoch_1.pth', 10)
    save(tmp_path / 'epoch_2.pth', 20, float('nan'))
    torn = save(tmp_path / 'epoch_3.pth', 30)
    torn.write_bytes(torn.read_bytes()[:-100])
    (tmp_path / 'epoch_4.pth').touch()
    found, refused = find_resumable(tmp_path)
    assert found == good
    assert ['epoch_4.pth' in refused[0], 'epoch_3.pth' in refused[1]] == [True, True]
    assert refused[2].endswith('epoch_2.pth: w is not finite.')


def test_checkpoint_within_an_epoch_is_newer_than_that_of_the_last_one(tmp_path):
    epoch = save(tmp_path / 'epoch_2.pth', 20)
    iteration = save(tmp_path / 'iter_25.pth', 25)
    assert find_resumable(tmp_path)[0] == iteration
    later = save(tmp_path / 'epoch_3.pth', 30)
    assert find_resumable(tmp_path)[0] == later != epoch


def test_nothing_to_resume(tmp_path):
    assert find_resumable(tmp_path) == (None, [])
    (tmp_path / 'epoch_1.pth').write_bytes(b'torn')
    with pytest.raises(UserError, match=r'no checkpoint in .* can be resumed: .*epoch_1\.pth'):
        find_resumable(tmp_path)
