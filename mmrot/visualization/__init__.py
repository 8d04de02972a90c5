"""Figures of what a network sees, learned and predicts."""

from .attention import attention_maps, draw_attention
from .confusion import draw_confusion, rotation_confusion
from .embedding import draw_embedding, embed, spaced_points
from .filters import draw_filters, first_layer_filters
from .neighbours import draw_neighbours
from .predictions import draw_side_by_side
from .rotation_predictions import draw_rotation_predictions
from .style import paper_style

__all__ = [
    'attention_maps',
    'draw_attention',
    'draw_confusion',
    'draw_embedding',
    'draw_filters',
    'draw_neighbours',
    'draw_rotation_predictions',
    'draw_side_by_side',
    'embed',
    'first_layer_filters',
    'paper_style',
    'rotation_confusion',
    'spaced_points',
]
