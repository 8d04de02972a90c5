"""The paper's CIFAR-10 study: what is run, how, and what was measured."""

from .page import draw_figures, write_page
from .plan import EVALUATIONS, PRETRAININGS, Evaluation, Settings, select
from .records import read_records
from .run import Study

__all__ = [
    'EVALUATIONS',
    'PRETRAININGS',
    'Evaluation',
    'Settings',
    'Study',
    'draw_figures',
    'read_records',
    'select',
    'write_page',
]
