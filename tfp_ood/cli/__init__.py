# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command `tfp-ood`, for folders of images."""

from tfp_ood.cli.main import main

__all__ = ['main']
