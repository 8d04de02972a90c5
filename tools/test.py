#!/usr/bin/env python
"""The command `mmrot test`."""

from mmrot.cli.test import main

if __name__ == '__main__':
    main()
