#!/usr/bin/env python
"""The command `mmrot show predictions`."""

import sys

from mmrot.cli import load_command

if __name__ == '__main__':
    load_command('show')(['predictions', *sys.argv[1:]])
