#!/usr/bin/env python
"""The command `mmrot demo`."""

from mmrot.cli.demo import main

if __name__ == '__main__':
    main()
