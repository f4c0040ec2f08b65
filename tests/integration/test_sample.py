# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the bundled sample shows what it is there to show."""

import pytest

import tfp_ood


@pytest.mark.exhaustive
def test_a_flow_of_photographs_finds_digits_more_likely():
  flow = tfp_ood.distributions.glow(weights='cifar10', recompute=False)
  found = tfp_ood.evaluation.evaluate(
    flow,
    {
      'likelihood': tfp_ood.stats.NegativeLogLikelihood(),
      'states': tfp_ood.stats.DensityOfStates(
        ('density', 'volume', 'png_bits_per_dim', 'score_norm')
      ),
    },
    tfp_ood.datasets.load('sample_photographs/test', limit=400),
    {
      'digits': tfp_ood.datasets.load('sample_digits/test', limit=400),
      'constant': tfp_ood.datasets.load('constant', num_examples=256),
    },
    {'train': tfp_ood.datasets.load('sample_photographs/train', limit=400)},
    verbose=False,
  )
  auroc = {
    score: {name: float(interval.auroc) for name, interval in values.items()}
    for score, values in found.aurocs().items()
  }
  assert auroc['likelihood']['digits'] < 0.25
  assert auroc['likelihood']['constant'] < 0.25
  assert auroc['states']['digits'] > 0.8
  assert auroc['states']['constant'] > 0.95
  # Photographs that the scores did not learn from are like those that they did.
  for values in auroc.values():
    assert 0.4 < values['train'] < 0.6
