#!/usr/bin/env python
"""The command `mmrot show-predictions`."""

from mmrot.cli.show_predictions import main

if __name__ == '__main__':
    main()
