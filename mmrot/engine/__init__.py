from .bfloat16_optim_wrapper import BFloat16OptimWrapper
from .runner import Runner

__all__ = ['BFloat16OptimWrapper', 'Runner']
