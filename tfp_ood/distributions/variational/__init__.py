# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Variational autoencoders: encoder, decoder, posterior and prior."""
