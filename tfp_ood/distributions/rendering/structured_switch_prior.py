# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The structured softmax prior over all switches of a network."""

import collections
import math

import numpy as np
import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.rendering import (
  _switch_blocks,
  _switch_bounds,
  _switch_states,
)
from tfp_ood.distributions.rendering._reductions import sum_of_squares
from tfp_ood.distributions.rendering.layerwise_switch_prior import (
  LayerwiseSwitchPrior,
)
from tfp_ood.distributions.rendering.switch_prior import SwitchPrior

__all__ = ['LogNormalizer', 'StructuredSwitchPrior']

LogNormalizer = collections.namedtuple(
  'LogNormalizer', ['estimate', 'lower', 'upper', 'standard_error']
)

# Configurations that enumeration visits at most, and in one batch.
_MAX_CONFIGURATIONS = 2**20
_ENUMERATION_BATCH = 2**12


class StructuredSwitchPrior(SwitchPrior):
  """The prior of the neural rendering model: one softmax over all switches.

      p(z | y) = exp(eta(y, z) / variance) / Z_y
      eta(y, z) = sum_l <b(l), s(l) * h(y, z; l)>
      Z_y = sum_z exp(eta(y, z) / variance)

  The sum `Z_y` runs over all configurations of the switches, and is tractable only
  for tiny networks. `unnormalized_log_prob` is `eta / variance`;
  `log_prob` exists only with a `log_normalizer` given at construction, which
  the method of that name computes or estimates.

  Given all other layers, the units of a layer are independent: `sample` is block
  Gibbs sampling, from the layerwise prior, for `num_sweeps` sweeps. Its samples
  are therefore approximate.

  Where all renderings are nonnegative, the switches that a classifier infers for
  an image `x` maximize `<x, h(0)> + eta`. The joint distribution of switches and
  image has another term, `-|h(0)|^2 / 2`, of the Gaussian. The compensated prior
  cancels it:

      p(z | y) = exp((eta(y, z) + |h(y, z; 0)|^2 / 2) / variance) / Z_y
      p(z | x, y) ~ exp((<x, h(y, z; 0)> + eta(y, z)) / variance)

  Under this prior the classifier's switches are the most probable given the
  image. The units of a layer are independent given all other layers and the
  image, so `sample` draws images and switches in turn.

  Renderings are exact here, even for a network that normalizes its renderings.

  #### Examples

  >>> import tf_keras
  >>> from tfp_ood import networks
  >>> classifier = tf_keras.Sequential([
  ...     tf_keras.layers.Input([4]),
  ...     tf_keras.layers.Dense(3, activation='relu'),
  ...     tf_keras.layers.Dense(2)])
  >>> network = networks.PiecewiseLinearNetwork(classifier)
  >>> prior = StructuredSwitchPrior(network, labels=[0, 1])
  >>> switches = prior.sample(5, seed=[1, 2])
  >>> switches[0]['is_on'].shape, prior.unnormalized_log_prob(switches).shape
  (TensorShape([5, 2, 3]), TensorShape([5, 2]))
  >>> log_normalizer = prior.log_normalizer().estimate  # Of 2^3 terms.
  >>> normalized = StructuredSwitchPrior(
  ...     network, [0, 1], log_normalizer=log_normalizer)
  >>> normalized.log_prob(switches).shape
  TensorShape([5, 2])
  """

  def __init__(
    self,
    network,
    labels,
    variance=1.0,
    log_normalizer=None,
    num_sweeps=20,
    compensated=False,
    validate_args=False,
    allow_nan_stats=True,
    name='structured_switch_prior',
  ):
    """Instantiates the prior.

    Args:
      network: `PiecewiseLinearNetwork`.
      labels: integer `Tensor` of shape `[batch...]`, the classes.
      variance: positive scalar, the variance of the pixels, `sigma^2`.
      log_normalizer: `Tensor` of shape `[num_classes]`, `log Z_y` by class, in
        nats; `None` where it is unknown.
      num_sweeps: Python `int`, the length of the chains that `sample` runs.
      compensated: Python `bool`, whether `|h(0)|^2 / 2` is added to `eta`.
      validate_args: Python `bool`, as in TFP.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the network normalizes its renderings and is to be
        compensated, `variance` is not positive, or `labels` are not classes.
    """
    parameters = dict(locals())
    if compensated and network.rendering_normalizations:
      raise ValueError(
        f'{name}: a network that normalizes its renderings cannot be '
        'compensated. Make it with `normalize_renderings=False`.'
      )
    self._log_normalizer = log_normalizer
    self._num_sweeps = num_sweeps
    self._compensated = compensated
    super().__init__(
      network,
      labels,
      variance,
      validate_args,
      allow_nan_stats,
      parameters,
      name,
    )

  def unnormalized_log_prob(self, switches):
    """The log-probability up to `log Z_y`.

    Args:
      switches: list of the layers' switches, `[sample..., batch..., ...]`.

    Returns:
      `Tensor` of shape `[sample..., batch...]`, in nats: `eta / variance`, or with
      `compensated` `(eta + |h(0)|^2 / 2) / variance`.
    """
    with self._name_and_control_scope('unnormalized_log_prob'):
      flat, labels, shape = self._flattened(switches)
      return tf.reshape(self._exponents(flat, labels), shape)

  @property
  def log_num_configurations(self):
    """Python `float`, the log of the number of configurations."""
    return sum(
      layer.feature_shape.num_elements() * math.log(layer.num_states)
      for layer in self.network.layers
    )

  def log_normalizer(
    self,
    method='enumerate',
    num_samples=1_000,
    num_temperatures=60,
    seed=None,
  ):
    """Computes or estimates `log Z_y` for each label of the batch.

    - `enumerate`: the sum, for at most 2^20 configurations.
    - `importance`: the mean of `exp(log_weight)` over samples of the layerwise
      prior. Its expectation is `Z_y`; where one weight dominates it is too low.
    - `ais`: annealed importance sampling, from uniform switches through
      `num_temperatures` inverse temperatures, each a sweep of block Gibbs.
    - `mode`: the largest term that coordinate ascent finds, from the switches of
      the zero image; where all renderings are nonnegative, and nothing is
      compensated, the largest there is. It is the leading term of `log Z_y` for
      small variances, and a lower bound.

    Args:
      method: one of these.
      num_samples: Python `int`, the samples or chains.
      num_temperatures: Python `int`.
      seed: PRNG seed.

    Returns:
      `LogNormalizer` of `Tensor`s of shape `[batch...]`, in nats: the estimate;
      bounds, which are certain; and the standard error of the estimate, not a
      number for `mode`, which has none. Unless `log Z_y` is enumerated, `lower`
      is the estimate of `mode`, and `upper` a bound of the largest term, from
      intervals of the features, times the number of configurations; infinite
      where the coefficients of a layer are not known.

    Raises:
      ValueError: if `method` is unknown, or there are too many configurations to
        enumerate.
    """
    methods = {
      'enumerate': self._enumerated,
      'importance': lambda: self._importance(num_samples, seed),
      'ais': lambda: self._annealed(num_samples, num_temperatures, seed),
      'mode': self._mode,
    }
    if method not in methods:
      raise ValueError(
        f'StructuredSwitchPrior: `method` must be one of {", ".join(methods)}; '
        f'got {method!r}.'
      )
    with self._name_and_control_scope('log_normalizer'):
      return methods[method]()

  def _log_prob(self, switches):
    if self._log_normalizer is None:
      raise NotImplementedError(
        'StructuredSwitchPrior: `log_prob` needs the normalizer. Give '
        '`log_normalizer` at construction (the method of that name computes or '
        'estimates it), or use `unnormalized_log_prob`.'
      )
    log_normalizer = tf.gather(
      tf.convert_to_tensor(self._log_normalizer, self.network.dtype),
      self.labels,
    )
    return self.unnormalized_log_prob(switches) - log_normalizer

  def _sample_n(self, n, seed=None):
    start_seed, chain_seed = tf.unstack(
      tf.random.experimental.stateless_split(stateless_seed(seed), 2)
    )
    labels = self._tile_labels(n)
    layerwise = LayerwiseSwitchPrior(self.network, labels, self.variance)
    switches = layerwise.sample(seed=start_seed)

    def sweep(step, switches, labels):
      seed = tf.random.experimental.stateless_fold_in(chain_seed, step)
      return step + 1, self._sweep(switches, labels, 1.0, seed), labels

    _, switches, _ = _switch_blocks.loop_over_switches(
      lambda step, *_: step < self._num_sweeps, sweep, switches, labels
    )
    return self._unflattened(switches, n)

  def _sweep(self, switches, labels, inverse_temperature, seed):
    """Draws the switches of each layer anew, given those of all others."""
    image_seed, *seeds = tf.unstack(
      tf.random.experimental.stateless_split(seed, self.network.num_layers + 1)
    )
    images = self.network.zero_images(tf.shape(labels)[0])
    if self._compensated:
      images = self._draw_images(
        switches, labels, inverse_temperature, image_seed
      )
    switches = list(switches)
    for index, layer in enumerate(self.network.layers):
      scores = _switch_blocks.block_scores(
        self.network, images, labels, switches, index
      )
      logits = inverse_temperature * scores / self.variance
      switches[index] = _switch_states.draw_states(layer, logits, seeds[index])
    return switches

  def _draw_images(self, switches, labels, inverse_temperature, seed):
    """Draws images given the switches, which take part in compensated chains.

    Summed over the images `x`, `exp((<x, h(0)> + eta - |x|^2 / 2) / variance)` is
    the compensated prior, and given them the units of a layer are independent.
    """
    h = self.network.render(labels, switches).image
    noise = tf.random.stateless_normal(tf.shape(h), seed, dtype=h.dtype)
    return h + tf.sqrt(self.variance / inverse_temperature) * noise

  def _exponents(self, switches, labels):
    """Returns the log of the unnormalized density, `[batch]`."""
    if not self._compensated:
      etas = tf.gather(self._class_etas(switches), labels, batch_dims=1)
      return etas / self.variance
    rendered = self.network.render(labels, switches)
    squares = sum_of_squares(rendered.image)
    return (rendered.class_score + squares / 2) / self.variance

  def _class_exponents(self, switches):
    """Returns the same of every class, `[batch, num_classes]`."""
    if not self._compensated:
      return self._class_etas(switches) / self.variance
    count = _switch_states.batch_size(switches)
    return tf.stack(
      [
        self._exponents(switches, tf.fill([count], label))
        for label in range(self.network.num_classes)
      ],
      axis=-1,
    )

  def _enumerated(self):
    log_num = self.log_num_configurations
    if log_num > math.log(_MAX_CONFIGURATIONS) + 1e-9:
      raise ValueError(
        'StructuredSwitchPrior: the switches have exp('
        f'{log_num:.1f}) configurations, too many to enumerate (at most '
        f"{_MAX_CONFIGURATIONS}). Estimate with `method='importance'` or 'ais'."
      )
    total = round(math.exp(log_num))
    parts = []
    for start in range(0, total, _ENUMERATION_BATCH):
      numbers = np.arange(start, min(total, start + _ENUMERATION_BATCH))
      switches = _switch_states.numbered_switches(self.network, numbers)
      exponents = self._class_exponents(switches)
      parts.append(tf.reduce_logsumexp(exponents, axis=0))
    by_class = tf.reduce_logsumexp(tf.stack(parts), axis=0)
    estimate = tf.gather(by_class, self.labels)
    return LogNormalizer(estimate, estimate, estimate, tf.zeros_like(estimate))

  def _mode(self):
    lower, upper = self._bounds()
    return LogNormalizer(lower, lower, upper, np.nan * tf.ones_like(lower))

  def _bounds(self):
    """Returns bounds of `log Z_y`, `[batch...]`."""
    network, labels = self.network, tf.reshape(self.labels, [-1])
    zeros = network.zero_images(tf.shape(labels)[0])
    switches = network.switches(network.propagate(zeros).pre_activations)
    ascent = _switch_blocks.ascend(
      network, zeros, labels, switches, self._num_sweeps, self._compensated
    )
    lower = tf.reshape(ascent.objective, tf.shape(self.labels))
    upper = _switch_bounds.eta_upper_bounds(network)
    if self._compensated:
      bounds = _switch_bounds.rendering_bounds(network)
      upper += sum_of_squares(bounds) / 2
    upper = tf.gather(upper, self.labels) / self.variance
    return lower / self.variance, upper + self.log_num_configurations

  def _importance(self, num_samples, seed):
    layerwise = LayerwiseSwitchPrior(self.network, self.labels, self.variance)
    samples = layerwise.sample(num_samples, seed=seed)
    log_weights = self.unnormalized_log_prob(samples) - layerwise.log_prob(
      samples
    )
    return self._estimate(log_weights)

  def _annealed(self, num_samples, num_temperatures, seed):
    labels = self._tile_labels(num_samples)
    start_seed, chain_seed = tf.unstack(
      tf.random.experimental.stateless_split(stateless_seed(seed), 2)
    )
    difference = tf.constant(1 / num_temperatures, self.network.dtype)

    def warm_to_cold(step, switches, log_weight):
      log_weight += difference * self._exponents(switches, labels)
      seed = tf.random.experimental.stateless_fold_in(chain_seed, step)
      cold = tf.cast(step + 1, self.network.dtype) * difference
      return step + 1, self._sweep(switches, labels, cold, seed), log_weight

    _, _, log_weight = _switch_blocks.loop_over_switches(
      lambda step, *_: step < num_temperatures,
      warm_to_cold,
      _switch_states.uniform_switches(
        self.network, tf.shape(labels)[0], start_seed
      ),
      tf.zeros_like(labels, self.network.dtype),
    )
    shape = tf.concat([[num_samples], tf.shape(self.labels)], axis=0)
    return self._estimate(
      tf.reshape(log_weight, shape) + self.log_num_configurations
    )

  def _estimate(self, log_weights):
    """Log of the mean of weights along the first axis, and its error."""
    count = tf.cast(tf.shape(log_weights)[0], log_weights.dtype)
    log_mean = tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(count)
    # The delta method: the relative error of the mean.
    relative = tf.exp(log_weights - log_mean)
    error = tf.math.reduce_std(relative, axis=0) / tf.sqrt(count)
    return LogNormalizer(log_mean, *self._bounds(), error)
