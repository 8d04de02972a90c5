#!/usr/bin/env python
"""The command `mmrot convert`."""

from mmrot.cli.convert import main

if __name__ == '__main__':
    main()
