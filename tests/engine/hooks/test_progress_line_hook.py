def test_progress_without_terminal_is_one_line_per_epoch(tmp_path, run_tool, capsys):
    options = [
        'log_level=ERROR',
        'train_cfg.max_epochs=2',
        'train_dataloader.dataset.indices=8',
        'val_dataloader.dataset.indices=4',
        'train_dataloader.batch_size=4',
        'model.backbone.width=6',
        'model.head.in_channels=6',
    ]
    config = tmp_path / 'own.py'
    config.write_text(
        "_base_ = 'mmrot::rotnet/nin4_digits.py'\n"
        "custom_hooks = [dict(type='mmrot.ProgressLineHook')]\n"
    )
    run_tool('train', config, '--work-dir', tmp_path / 'work', '--cfg-options', *options)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('epoch')]
    assert [line[:11] for line in lines] == ['epoch   1/2', 'epoch   2/2']
    assert 'validation' not in lines[0]
    assert '%' in lines[1].partition('validation')[2]
    assert lines[1].rstrip().endswith('0 s left')
