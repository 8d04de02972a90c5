#!/usr/bin/env python
"""The command `mmrot proposals`."""

from mmrot.cli import load_command

if __name__ == '__main__':
    load_command('proposals')()
