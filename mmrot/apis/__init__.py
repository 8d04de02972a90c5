"""What one calls from Python."""

from mmrot.config import config_path, list_configs

__all__ = ['config_path', 'list_configs']
