# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores: one number for each example, larger for what is more out of distribution."""
