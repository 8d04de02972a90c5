"""The Python interface: change configs, load models, predict rotations, extract features, plot."""

from mmrot.config import config_path, list_configs

from .config_changes import (
    with_amp,
    with_backbone,
    with_drawing,
    with_loader_defaults,
    with_monitors,
    with_options,
    with_result_table,
    with_tta,
    with_vis_backends,
)
from .data_changes import (
    cached_images,
    in_memory,
    with_data_root,
    with_image_folder,
    with_image_size,
    with_labelled_folder,
)
from .feature_evaluation import evaluate_features
from .features import extract_features
from .models import get_model, list_models
from .pictures import (
    plot_attention,
    plot_confusion,
    plot_features,
    plot_filters,
    plot_neighbours,
)
from .rotation_inferencer import RotationInferencer
from .shortcut import check_shortcuts

__all__ = [
    'RotationInferencer',
    'cached_images',
    'check_shortcuts',
    'config_path',
    'evaluate_features',
    'extract_features',
    'get_model',
    'in_memory',
    'list_configs',
    'list_models',
    'plot_attention',
    'plot_confusion',
    'plot_features',
    'plot_filters',
    'plot_neighbours',
    'with_amp',
    'with_backbone',
    'with_data_root',
    'with_drawing',
    'with_image_folder',
    'with_image_size',
    'with_labelled_folder',
    'with_loader_defaults',
    'with_monitors',
    'with_options',
    'with_result_table',
    'with_tta',
    'with_vis_backends',
]
