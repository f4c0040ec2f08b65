# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Watching, during training, how scores tell data sets apart."""

import time

import numpy as np
import tf_keras

from tfp_ood._batches import images_of
from tfp_ood.stats.metrics.ranking_metrics import auroc
from tfp_ood.stats.statistics import Statistics

__all__ = ['Watch']


class Watch(tf_keras.callbacks.Callback):
  """Measures scores after each epoch, for one to look at and not to choose by.

  It adds to the epoch's record `auroc_SCORE_NAME`, of each score and each data set
  out of distribution, and `bits_per_dim of NAME`, where a score reads the
  log-probability; beside them the epoch's `seconds`.

  #### Examples

  >>> import tfp_ood
  >>> digits = tfp_ood.datasets.load('sample_digits/train[:64]', batch_size=32)
  >>> photographs = tfp_ood.datasets.load('sample_photographs/test[:64]')
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [32, 32, 3], latent_size=4, hidden_channels=4, seed=1)
  >>> model = tfp_ood.training.DistributionModel(vae)
  >>> model.compile(tfp_ood.training.adam(1e-3))
  >>> watch = tfp_ood.training.Watch(
  ...     vae, {'likelihood': tfp_ood.stats.NegativeLogLikelihood()}, digits,
  ...     {'photographs': photographs})
  >>> history = model.fit(digits, callbacks=[watch], verbose=0).history
  >>> 'auroc_likelihood_photographs' in history
  True
  """

  def __init__(
    self, distribution, scores, in_distribution, out_of_distribution
  ):
    """Instantiates the callback.

    Args:
      distribution: the model in training.
      scores: `dict` of `tfp_ood.stats.Score`s by name, that learn nothing.
      in_distribution: `tf.data.Dataset` of batches, not trained on.
      out_of_distribution: `dict` of `tf.data.Dataset`s by name.
    """
    super().__init__()
    for score in scores.values():
      score.check_is_fitted()
    self._scores = scores
    self._in_distribution = in_distribution
    self._out_of_distribution = out_of_distribution
    self._start = None
    self._statistics = Statistics(distribution)
    names = dict.fromkeys(n for s in scores.values() for n in s.statistics)
    if 'log_prob' in names and 'bits_per_dim' in self._statistics.names:
      names['bits_per_dim'] = None
    self._statistics.check_names(names)
    self._names = names

  def on_epoch_begin(self, epoch, logs=None):
    """Starts the clock."""
    self._start = time.monotonic()

  def on_epoch_end(self, epoch, logs=None):
    """Adds what it measures to the epoch's record."""
    logs['seconds'] = time.monotonic() - self._start
    inside = self._values(self._in_distribution)
    for name, dataset in self._out_of_distribution.items():
      outside = self._values(dataset)
      if 'bits_per_dim' in outside:
        bits = np.mean(outside['bits_per_dim'], dtype=np.float64)
        logs[f'bits_per_dim of {name}'] = float(bits)
      for score_name, score in self._scores.items():
        logs[f'auroc_{score_name}_{name}'] = _auroc(
          score(inside), score(outside)
        )

  def _values(self, dataset):
    parts = [self._statistics(x, self._names) for x in map(images_of, dataset)]
    return {
      name: np.concatenate([part[name] for part in parts])
      for name in self._names
    }


def _auroc(inside, outside):
  # A model that has gone wrong ends its training by itself.
  if np.isnan(inside).any() or np.isnan(outside).any():
    return float('nan')
  return auroc(inside, outside)
