import shutil

import pytest
import torch
from helpers import forget_jobs, tiny_config

from mmrot.engine import Runner
from mmrot.engine.resume import list_checkpoints
from mmrot.errors import UserError


def names(work_dir):
    return sorted(path.name for path in work_dir.glob('*.pth'))


def test_old_checkpoint_is_removed_after_the_new_one_is_saved(tmp_path, monkeypatch):
    changes = {'train_cfg.max_epochs': 3, 'default_hooks.checkpoint.max_keep_ckpts': 1}
    save = torch.save

    def full(content, file, *args, **kwargs):
        if content['meta']['epoch'] == 3:
            raise OSError('No space left on device')
        save(content, file, *args, **kwargs)

    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='No space'):
        Runner.from_cfg(tiny_config(tmp_path, **changes)).train()
    assert names(tmp_path) == ['epoch_2.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_2.pth'
    monkeypatch.undo()
    forget_jobs()
    Runner.from_cfg(tiny_config(tmp_path, resume=True, **changes)).train()
    assert names(tmp_path) == ['epoch_3.pth']


def test_best_checkpoint_needs_validation(tmp_path):
    cfg = tiny_config(tmp_path, **{'default_hooks.checkpoint.save_best': 'rotation/accuracy'})
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    with pytest.raises(UserError, match=r"save_best=\['rotation/accuracy'\] needs validation"):
        Runner.from_cfg(cfg).train()


def test_unknown_metrics_of_the_best_checkpoint_are_named(tmp_path):
    changes = {'default_hooks.checkpoint.save_best': 'rotation/accuracy_45'}
    with pytest.raises(UserError, match=r'rotation/accuracy_45 is not one of the metrics, .*_90'):
        Runner.from_cfg(tiny_config(tmp_path, **changes)).train()


def test_copied_work_dir_resumes_from_its_own_checkpoint(tmp_path):
    changes = {
        'val_evaluator.type': 'mmrot.RotationAccuracy',
        'default_hooks.checkpoint.save_best': 'rotation/accuracy',
        'default_hooks.checkpoint.rule': 'greater',
    }
    Runner.from_cfg(tiny_config(tmp_path / 'a', **changes)).train()
    forget_jobs()
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    (tmp_path / 'b/last_checkpoint').unlink()
    (tmp_path / 'a/epoch_1.pth').write_bytes(b'of another run')
    before = names(tmp_path / 'a')
    changes['train_cfg.max_epochs'] = 2
    runner = Runner.from_cfg(tiny_config(tmp_path / 'b', resume=True, **changes))
    runner.train()
    assert runner._load_from == str(tmp_path / 'b/epoch_1.pth')
    assert names(tmp_path / 'a') == before
    assert len([name for name in names(tmp_path / 'b') if name.startswith('best')]) == 1


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    runner = Runner.from_cfg(tiny_config(tmp_path))
    with torch.no_grad():
        next(runner.model.parameters()).fill_(float('inf'))
    with pytest.raises(UserError, match=r'epoch_1\.pth is not saved: .* is not finite'):
        runner.save_checkpoint(str(tmp_path), 'epoch_1.pth')
    assert list_checkpoints(tmp_path) == []
