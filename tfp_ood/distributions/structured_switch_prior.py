# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The structured softmax prior over all switches of a network."""

import collections
import math

import numpy as np
import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.layerwise_switch_prior import LayerwiseSwitchPrior
from tfp_ood.distributions.switch_prior import SwitchPrior

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

  The sum `Z_y` runs over all configurations of the switches and can be had
  exactly for tiny networks alone. `unnormalized_log_prob` is `eta / variance`;
  `log_prob` exists only with a `log_normalizer` given at construction, which
  the method of that name computes or estimates.

  Given all other layers, the units of a layer are independent: `sample` is block
  Gibbs sampling, from the layerwise prior, for `num_sweeps` sweeps. Its samples
  are therefore approximate.

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
      validate_args: Python `bool`, as in TFP.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    self._log_normalizer = log_normalizer
    self._num_sweeps = num_sweeps
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
    """`eta / variance`, the log-probability up to `log Z_y`.

    Args:
      switches: list of the layers' switches, `[sample..., batch..., ...]`.

    Returns:
      `Tensor` of shape `[sample..., batch...]`, in nats.
    """
    return self.eta(switches) / self.variance

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

    Args:
      method: one of these.
      num_samples: Python `int`, the samples or chains.
      num_temperatures: Python `int`.
      seed: PRNG seed.

    Returns:
      `LogNormalizer` of `Tensor`s of shape `[batch...]`, in nats: the estimate,
      bounds, -inf and inf where there are none, and the standard error of the
      estimate.

    Raises:
      ValueError: if `method` is unknown, or there are too many configurations to
        enumerate.
    """
    methods = {
      'enumerate': self._enumerated,
      'importance': lambda: self._importance(num_samples, seed),
      'ais': lambda: self._annealed(num_samples, num_temperatures, seed),
    }
    if method not in methods:
      raise ValueError(
        f'StructuredSwitchPrior: `method` must be one of {", ".join(methods)}; '
        f'got {method!r}.'
      )
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
    for sweep in range(self._num_sweeps):
      seed = tf.random.experimental.stateless_fold_in(chain_seed, sweep)
      switches = self._sweep(switches, labels, 1.0, seed)
    return self._unflatten_batch(switches, n)

  def _sweep(self, switches, labels, inverse_temperature, seed):
    """Draws the switches of each layer anew, given those of all others."""
    switches = list(switches)
    seeds = tf.random.experimental.stateless_split(
      seed, self.network.num_layers
    )
    for index, layer in enumerate(self.network.layers):
      logits = inverse_temperature * self._conditional_logits(
        switches, labels, index
      )
      switches[index] = layer.switches_of_states(
        self._draw(logits, seeds[index])
      )
    return switches

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
      etas = self._class_etas(self._configurations(numbers))
      parts.append(tf.reduce_logsumexp(etas / self.variance, axis=0))
    by_class = tf.reduce_logsumexp(tf.stack(parts), axis=0)
    estimate = tf.gather(by_class, self.labels)
    return LogNormalizer(estimate, estimate, estimate, tf.zeros_like(estimate))

  def _configurations(self, numbers):
    """Returns the configurations of given numbers, as switches."""
    switches = []
    for layer in self.network.layers:
      states = np.zeros(
        [len(numbers), layer.feature_shape.num_elements()], np.int32
      )
      for unit in range(states.shape[1]):
        numbers, states[:, unit] = np.divmod(numbers, layer.num_states)
      states = tf.reshape(states, [-1, *layer.feature_shape])
      switches.append(layer.switches_of_states(states))
    return switches

  def _importance(self, num_samples, seed):
    layerwise = LayerwiseSwitchPrior(self.network, self.labels, self.variance)
    samples = layerwise.sample(num_samples, seed=seed)
    return _log_mean(layerwise.log_weight(samples), 0.0)

  def _annealed(self, num_samples, num_temperatures, seed):
    labels = self._tile_labels(num_samples)
    count = tf.shape(labels)[0]
    start_seed, chain_seed = tf.unstack(
      tf.random.experimental.stateless_split(stateless_seed(seed), 2)
    )
    seeds = tf.random.experimental.stateless_split(
      start_seed, self.network.num_layers
    )
    switches = [
      layer.switches_of_states(
        tf.random.stateless_uniform(
          tf.concat([[count], layer.feature_shape], axis=0),
          seeds[index],
          0,
          layer.num_states,
          tf.int32,
        )
      )
      for index, layer in enumerate(self.network.layers)
    ]
    temperatures = np.linspace(0.0, 1.0, num_temperatures + 1)
    log_weight = tf.zeros([count], self.network.dtype)
    for step, (cold, warm) in enumerate(
      zip(temperatures[1:], temperatures[:-1], strict=True)
    ):
      etas = tf.gather(self._class_etas(switches), labels, batch_dims=1)
      log_weight += (cold - warm) * etas / self.variance
      seed = tf.random.experimental.stateless_fold_in(chain_seed, step)
      switches = self._sweep(switches, labels, cold, seed)
    shape = tf.concat([[num_samples], tf.shape(self.labels)], axis=0)
    return _log_mean(tf.reshape(log_weight, shape), self.log_num_configurations)


def _log_mean(log_weights, offset):
  """Log of the mean of weights along the first axis, and its error."""
  count = tf.cast(tf.shape(log_weights)[0], log_weights.dtype)
  log_mean = tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(count)
  # The delta method: the relative error of the mean.
  relative = tf.exp(log_weights - log_mean)
  error = tf.math.reduce_std(relative, axis=0) / tf.sqrt(count)
  infinity = tf.constant(np.inf, log_weights.dtype) * tf.ones_like(log_mean)
  return LogNormalizer(log_mean + offset, -infinity, infinity, error)
