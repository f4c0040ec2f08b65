# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of choosing a background model."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import evaluation, stats

tfd = tfp.distributions


def _normal(scale):
  return tfd.Sample(tfd.Normal(0.0, scale), [4])


_MODEL = _normal(1.0)
_INSIDE = _MODEL.sample(60, seed=1).numpy()
_OUTSIDE = {
  'wide': _normal(2.0).sample(50, seed=2).numpy(),
  'narrow': _normal(0.7).sample(40, seed=3).numpy(),
}
_BACKGROUNDS = {
  'moved': tfd.Sample(tfd.Normal(0.5, 1.0), [4]),
  'wide': _normal(3.0),
}


def test_the_best_by_the_mean_over_data_sets_is_chosen():
  name, section = evaluation.choose_background(
    _MODEL, _BACKGROUNDS, _INSIDE, _OUTSIDE
  )
  means = {}
  for background, model in _BACKGROUNDS.items():

    def ratio(x, model=model):
      return (model.log_prob(x) - _MODEL.log_prob(x)).numpy()

    found = section.results['auroc'][background]
    for dataset, values in _OUTSIDE.items():
      expected = stats.auroc(ratio(_INSIDE), ratio(values))
      assert found[dataset]['auroc'] == pytest.approx(expected)
    means[background] = np.mean([value['auroc'] for value in found.values()])
  assert name == section.results['chosen'] == max(means, key=means.get)
  assert len(set(means.values())) == 2
  (table,) = (part for kind, part in section.tree()['parts'])
  assert [row[0] for row in table['rows']] == [
    f'{background}{", chosen" if background == name else ""}'
    for background in _BACKGROUNDS
  ]


def test_data_sets_of_batches_with_labels():
  batches = tf.data.Dataset.from_tensor_slices((_INSIDE, np.zeros(60))).batch(7)
  by_batch, by_array = (
    evaluation.choose_background(_MODEL, _BACKGROUNDS, inside, _OUTSIDE)
    for inside in (batches, _INSIDE)
  )
  assert by_batch.name == by_array.name
  assert by_batch.section.results == by_array.section.results


@pytest.mark.parametrize('empty', [({}, _OUTSIDE), (_BACKGROUNDS, {})])
def test_something_to_choose_from_and_by_is_needed(empty):
  with pytest.raises(ValueError, match='at least one each'):
    evaluation.choose_background(_MODEL, empty[0], _INSIDE, empty[1])
