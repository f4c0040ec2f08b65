# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural rendering model: a classifier read backwards, and its priors."""
