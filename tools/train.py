#!/usr/bin/env python
"""The command `mmrot train`."""

from mmrot.cli.train import main

if __name__ == '__main__':
    main()
