#!/usr/bin/env python
"""The command `mmrot proposals`."""

from mmrot.cli.proposals import main

if __name__ == '__main__':
    main()
