"""The paper's CIFAR-10 study: what is run, how, and what was measured."""

from .data import find_data
from .page import FIGURES, draw_figures, write_page
from .plan import EVALUATIONS, PRETRAININGS, Evaluation, Settings, select
from .records import read_records
from .run import Study

__all__ = [
    'EVALUATIONS',
    'FIGURES',
    'PRETRAININGS',
    'Evaluation',
    'Settings',
    'Study',
    'draw_figures',
    'find_data',
    'read_records',
    'select',
    'write_page',
]
