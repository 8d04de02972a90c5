#!/usr/bin/env python
"""The command `mmrot table`."""

from mmrot.cli.table import main

if __name__ == '__main__':
    main()
