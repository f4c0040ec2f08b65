# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The optimizer that the library's examples train with."""

import tf_keras

__all__ = ['adam', 'one_cycle']

# Names of variables that Keras shall not decay, as a regular expression.
_NOT_A_KERNEL = '^(?!.*kernel)'


class _Warmup(tf_keras.optimizers.schedules.LearningRateSchedule):
  """Rises linearly, from the first of its steps, and then stays."""

  def __init__(self, learning_rate, num_steps):
    super().__init__()
    self._ramp = tf_keras.optimizers.schedules.PolynomialDecay(
      initial_learning_rate=learning_rate / num_steps,
      decay_steps=num_steps,
      end_learning_rate=learning_rate,
    )
    self._config = {'learning_rate': learning_rate, 'num_steps': num_steps}

  def __call__(self, step):
    return self._ramp(step)

  def get_config(self):
    return self._config


def adam(
  learning_rate=1e-3,
  warmup_steps=0,
  global_clipnorm=None,
  ema_momentum=None,
  weight_decay=None,
):
  """Returns Keras's Adam with warm-up, clipping, averaging and weight decay.

  Args:
    learning_rate: Python `float`, the rate after the warm-up, or a schedule.
    warmup_steps: Python `int`, over how many steps the rate rises linearly.
      Flows of networks of your own may need some, 100 say: Adam's first steps move
      all weights of the couplings by the full rate and in concert, and the scales
      of many steps multiply, which can end in NaN. `CouplingNetwork` sees to it
      that they need none.
    global_clipnorm: Python `float`; if given, gradients are scaled so that their
      norm over all variables is at most this. The loss is in bits per dimension.
    ema_momentum: Python `float` below 1; if given, Keras keeps an exponential
      moving average of the weights and puts it in place at the end of `fit`.
    weight_decay: Python `float`; if given, each step multiplies the networks'
      kernels by `1 - weight_decay * rate`, apart from the gradient. What a flow
      needs to be one (activation normalization, 1x1 convolutions, biases) is
      left alone, and so is every variable without "kernel" in its name.
      Background models take it to learn less of what images depict.

  Returns:
    `tf_keras.optimizers.Adam`.

  #### Examples

  >>> import tfp_ood
  >>> tfp_ood.training.adam(1e-3, warmup_steps=100, ema_momentum=0.99).use_ema
  True
  """
  schedule = learning_rate
  if warmup_steps:
    schedule = _Warmup(learning_rate, warmup_steps)
  optimizer = tf_keras.optimizers.Adam(
    schedule,
    weight_decay=weight_decay,
    global_clipnorm=global_clipnorm,
    use_ema=ema_momentum is not None,
    ema_momentum=0.99 if ema_momentum is None else ema_momentum,
  )
  if weight_decay is not None:
    optimizer.exclude_from_weight_decay(var_names=[_NOT_A_KERNEL])
  return optimizer


def one_cycle(learning_rate, num_steps):
  """Returns a learning rate that rises for a quarter of the steps, then falls.

  It starts at 4 % of the largest rate, rises to it linearly, and falls as a cosine
  to a thousandth of it.

  Args:
    learning_rate: Python `float`, the largest rate.
    num_steps: Python `int`, of the whole training.

  Returns:
    `tf_keras.optimizers.schedules.LearningRateSchedule`, to be given to `adam`.

  #### Examples

  >>> import tfp_ood
  >>> schedule = tfp_ood.training.one_cycle(1e-2, num_steps=100)
  >>> round(float(schedule(25)), 4)
  0.01
  """
  rise = max(1, round(num_steps / 4))
  return tf_keras.optimizers.schedules.CosineDecay(
    initial_learning_rate=0.04 * learning_rate,
    decay_steps=max(1, num_steps - rise),
    alpha=1e-3,
    warmup_target=learning_rate,
    warmup_steps=rise,
  )
