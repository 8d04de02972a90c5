"""The Python interface: find a config, and change it."""

from mmrot.config import config_path, list_configs

from .config_changes import (
    in_memory,
    with_amp,
    with_backbone,
    with_data_root,
    with_drawing,
    with_image_folder,
    with_labelled_folder,
    with_loader_defaults,
    with_options,
    with_tta,
)

__all__ = [
    'config_path',
    'in_memory',
    'list_configs',
    'with_amp',
    'with_backbone',
    'with_data_root',
    'with_drawing',
    'with_image_folder',
    'with_labelled_folder',
    'with_loader_defaults',
    'with_options',
    'with_tta',
]
