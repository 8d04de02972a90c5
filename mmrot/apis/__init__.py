"""The Python interface: find a config, change it, load a model, predict rotations."""

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
from .models import get_model, list_models
from .rotation_inferencer import RotationInferencer

__all__ = [
    'RotationInferencer',
    'config_path',
    'get_model',
    'in_memory',
    'list_configs',
    'list_models',
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
