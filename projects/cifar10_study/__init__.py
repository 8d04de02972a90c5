"""The paper's CIFAR-10 experiments, see README.md."""

from .data import find_data
from .figures import draw_figures
from .page import FIGURES, write_page
from .plan import CLASSIFIERS, PRETRAININGS, Classifier, Settings, select
from .records import settings_of, study_records
from .run import Study

__all__ = [
    'CLASSIFIERS',
    'FIGURES',
    'PRETRAININGS',
    'Classifier',
    'Settings',
    'Study',
    'draw_figures',
    'find_data',
    'select',
    'settings_of',
    'study_records',
    'write_page',
]
