"""List the configs that come with mmrot."""

import argparse
from collections.abc import Sequence

from mmrot.config import list_configs


def main(argv: Sequence[str] | None = None) -> None:
    """Run ``mmrot list``."""
    parser = argparse.ArgumentParser(prog='mmrot list', description=__doc__)
    parser.add_argument(
        'text', nargs='?', default='', help='list only names that contain this text'
    )
    text = parser.parse_args(argv).text
    for name in list_configs():
        if text in name:
            print(name)
