# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""From scores to decisions: hypothesis tests, p-values, false discovery rates."""
