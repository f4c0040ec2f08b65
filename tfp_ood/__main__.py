# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m tfp_ood` is the command `tfp-ood`."""

import sys

from tfp_ood.cli.main import main

if __name__ == '__main__':
  sys.exit(main())
